/** One figure beside the floor that was measured in the same run. */
export interface Measurement {
  readonly name: string;
  readonly unit:
    's' | 'ms' | 'KiB' | 'MiB' | 'GB s' | 'US cents' | 'transitions' | 'calls' | 'snapshots' | 'answers';
  readonly measured: number;
  /** What the same work takes at the least: the same files, imports or server calls without us. */
  readonly floor?: number;
  /** The most that the ratio to the floor, or the figure itself where there is no floor, may be. */
  readonly limit: number;
}
