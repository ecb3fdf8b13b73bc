import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Template } from './template';

const Manifest = z.object({
  artifacts: z.record(
    z.string(),
    z.object({
      type: z.string(),
      environment: z.string().optional(),
      dependencies: z.array(z.string()).default([]),
      properties: z
        .object({
          templateFile: z.string().optional(),
          file: z.string().optional(),
          stackName: z.string().optional(),
          terminationProtection: z.boolean().default(false),
        })
        .prefault({}),
    }),
  ),
});

const AssetManifest = z.object({
  files: z.record(
    z.string(),
    z.object({
      source: z.object({ path: z.string() }),
      destinations: z.record(z.string(), z.object({ objectKey: z.string() })),
    }),
  ),
  dockerImages: z.record(z.string(), z.unknown()).default({}),
});

/** A stack as it is to be: of a synthesised cloud assembly, or of a change set. */
export interface StackArtifact {
  readonly id: string;
  readonly name: string;
  /** The account and Region that the stack is for; undefined where it leaves that open. */
  readonly accountId: string | undefined;
  readonly region: string | undefined;
  readonly template: Template;
  /** The template as it was given. */
  readonly templateText: string;
  readonly terminationProtection: boolean;
  /** Ids of the asked-for stacks that have to be there first. */
  readonly dependencies: readonly string[];
  /** Files and directories of the assets, by the key that they would have in the bucket; any other asset is in its bucket. */
  readonly assets: ReadonlyMap<string, string>;
}

/** Ids of the stacks of a cloud assembly. */
export async function stacksIn(directory: string): Promise<string[]> {
  const { artifacts } = await readManifest(directory);
  return Object.keys(artifacts).filter((id) => artifacts[id]?.type === 'aws:cloudformation:stack');
}

async function readManifest(directory: string): Promise<z.infer<typeof Manifest>> {
  const manifest = await readJson(join(directory, 'manifest.json')).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `There is no cloud assembly in ${directory}: ${reason}. HINT: npm run synth makes one in cdk.out.`,
    );
  });
  return Manifest.parse(manifest);
}

/** Reads stacks of a cloud assembly. @throws Error when there is none, or one of them is not in it */
export async function readAssembly(directory: string, stacks: readonly string[]): Promise<StackArtifact[]> {
  const { artifacts } = await readManifest(directory);
  return Promise.all(
    stacks.map(async (id) => {
      const artifact = artifacts[id];
      const file = artifact?.properties.templateFile;
      if (artifact?.type !== 'aws:cloudformation:stack' || file === undefined) {
        const found = Object.keys(artifacts).filter((name) => artifacts[name]?.properties.templateFile);
        throw new Error(`The assembly has no stack "${id}". It has: ${found.join(', ')}.`);
      }
      const assets = new Map<string, string>();
      for (const dependency of artifact.dependencies) {
        const manifest = artifacts[dependency];
        if (manifest?.type !== 'cdk:asset-manifest' || manifest.properties.file === undefined) continue;
        const { files } = AssetManifest.parse(await readJson(join(directory, manifest.properties.file)));
        for (const { source, destinations } of Object.values(files))
          for (const { objectKey } of Object.values(destinations))
            assets.set(objectKey, join(directory, source.path));
      }
      const templateText = await readFile(join(directory, file), 'utf8');
      return {
        id,
        name: artifact.properties.stackName ?? id,
        // aws://<account>/<Region>, with words such as unknown-account where the app leaves it open.
        accountId: /^aws:\/\/(\d{12})\//.exec(artifact.environment ?? '')?.[1],
        region: /\/([a-z]+(?:-[a-z]+)+-\d)$/.exec(artifact.environment ?? '')?.[1],
        template: Template.parse(JSON.parse(templateText)),
        templateText,
        terminationProtection: artifact.properties.terminationProtection,
        dependencies: artifact.dependencies.filter((dependency) => stacks.includes(dependency)),
        assets,
      };
    }),
  );
}

async function readJson(file: string): Promise<unknown> {
  return JSON.parse(await readFile(file, 'utf8'));
}
