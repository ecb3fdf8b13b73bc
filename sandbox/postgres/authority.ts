import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import type { Authority } from './contract';
import { writeWhole } from './write-whole';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY = 24 * 60 * 60 * 1000;
const VALIDITY_DAYS = 825;

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function validity(): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - DAY), notAfter: new Date(now + VALIDITY_DAYS * DAY) };
}

const NAME = 'CN=Sandbox RDS Root CA, O=Sandbox';

/**
 * The certificate authority whose certificate is in `caFile`; made when there is none yet. Its key is in `keyFile`, which only
 * its owner reads.
 */
export async function openAuthority(files: { caFile: string; keyFile: string }): Promise<Authority> {
  const { caFile, keyFile } = files;
  const pem = await readFile(keyFile, 'utf8').catch(() => undefined);
  const signingKey = pem === undefined ? await createAuthority(files) : await importKey(pem);
  const caKey = new x509.X509Certificate(await readFile(caFile, 'utf8')).publicKey;
  return {
    caFile,
    issue: async (hosts) => {
      const own = await generateKeys();
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: serialNumber(),
        subject: [{ CN: [hosts[0] ?? 'localhost'] }],
        issuer: NAME,
        ...validity(),
        publicKey: own.publicKey,
        signingKey,
        signingAlgorithm: ALGORITHM,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
          new x509.SubjectAlternativeNameExtension(
            hosts.map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host })),
          ),
          await x509.SubjectKeyIdentifierExtension.create(own.publicKey),
          await x509.AuthorityKeyIdentifierExtension.create(caKey),
        ],
      });
      return {
        certificate: `${certificate.toString('pem')}\n`,
        key: await exportKey(own.privateKey),
      };
    },
  };
}

/** Makes the authority's certificate and key. The key is written last: with it there is a certificate. */
async function createAuthority({
  caFile,
  keyFile,
}: {
  caFile: string;
  keyFile: string;
}): Promise<webcrypto.CryptoKey> {
  const keys = await generateKeys();
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: NAME,
    ...validity(),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  // Clients of any account trust it.
  await writeWhole(caFile, `${ca.toString('pem')}\n`, 0o644);
  await writeWhole(keyFile, await exportKey(keys.privateKey), 0o600);
  return keys.privateKey;
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return `${x509.PemConverter.encode(bytes, 'PRIVATE KEY')}\n`;
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), ALGORITHM, false, ['sign']);
}

function serialNumber(): string {
  // The first digit keeps the number positive.
  return `4${Buffer.from(webcrypto.getRandomValues(new Uint8Array(15))).toString('hex')}0`;
}
