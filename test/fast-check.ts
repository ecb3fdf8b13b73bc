import * as fc from 'fast-check';

/** Draws the same cases in every run, so that nothing is refused by chance; FAST_CHECK_SEED=2 draws others. */
fc.configureGlobal({ seed: Number(process.env['FAST_CHECK_SEED'] ?? 1) });

export default fc;
