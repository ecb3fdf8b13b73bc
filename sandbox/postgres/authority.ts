import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import type { Authority } from './contract';

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

/** Makes a certificate authority. Its certificate goes to `caFile`; its key stays in memory. */
export async function createAuthority(caFile: string): Promise<Authority> {
  const keys = await generateKeys();
  const name = 'CN=Sandbox RDS Root CA, O=Sandbox';
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name,
    ...validity(),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await writeFile(caFile, `${ca.toString('pem')}\n`);
  // Clients of any account trust it.
  await chmod(caFile, 0o644);
  return {
    caFile,
    issue: async (hosts) => {
      const own = await generateKeys();
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: serialNumber(),
        subject: [{ CN: [hosts[0] ?? 'localhost'] }],
        issuer: name,
        ...validity(),
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
          new x509.SubjectAlternativeNameExtension(
            hosts.map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host })),
          ),
          await x509.SubjectKeyIdentifierExtension.create(own.publicKey),
          await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ],
      });
      const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', own.privateKey));
      return {
        certificate: `${certificate.toString('pem')}\n`,
        key: x509.PemConverter.encode(key, 'PRIVATE KEY') + '\n',
      };
    },
  };
}

function serialNumber(): string {
  // The first digit keeps the number positive.
  return `4${Buffer.from(webcrypto.getRandomValues(new Uint8Array(15))).toString('hex')}0`;
}
