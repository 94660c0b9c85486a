// Private keys as they lie in files and in the store: in the clear, sealed by us, or encrypted as Tyk does it.
// Responsible for opening and sealing them. Must not know: certificates, where a secret comes from.
// Governed by: PKCS #1, #5, #8 and SEC 1 through node:crypto; RFC 1423 as Go's x509.EncryptPEMBlock writes it (which is
// what lies in Tyk's store); our own seal is AES-256-GCM under scrypt. A message never holds key material or a secret.
// Runs: per key that is loaded. Opening a sealed key costs some 50 ms on purpose.

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  type KeyObject,
  randomBytes,
  scryptSync,
} from "node:crypto";
import { type PemBlock, writePem } from "./pem.js";

export type OpenedKey = { readonly key: KeyObject } | { readonly problem: string };

const SEALED = "SLUICE SEALED PRIVATE KEY";
const SEAL_VERSION = 1;
const SALT = 16;
const NONCE = 12;
const TAG = 16;
const SCRYPT = { N: 16_384, r: 8, p: 1 };

export function isKeyLabel(label: string): boolean {
  return label.endsWith("PRIVATE KEY");
}

export function openKey(block: PemBlock, secret: string): OpenedKey {
  if (block.label === SEALED) return openSealed(block.der, secret);
  if (block.headers.has("dek-info")) return openLegacy(block, secret);
  if (block.label === "ENCRYPTED PRIVATE KEY") return openPkcs8(block.der, secret);
  return fromDer(block.der, "is not a private key that can be read");
}

/** The key as PEM under AES-256-GCM; the label is authenticated with it. */
export function sealKey(key: KeyObject, secret: string): string {
  const salt = randomBytes(SALT);
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv("aes-256-gcm", scryptSync(secret, salt, 32, SCRYPT), nonce);
  cipher.setAAD(Buffer.from(SEALED));
  const body = Buffer.concat([cipher.update(key.export({ type: "pkcs8", format: "der" })), cipher.final()]);
  return writePem(SEALED, Buffer.concat([Buffer.of(SEAL_VERSION), salt, nonce, cipher.getAuthTag(), body]));
}

const NO_SECRET =
  "is encrypted and there is no secret to open it with; set security.private_certificate_encoding_secret";
const WRONG_SECRET = "is encrypted under another secret than security.private_certificate_encoding_secret or secret";

function openSealed(der: Buffer, secret: string): OpenedKey {
  if (secret === "") return { problem: NO_SECRET };
  const body = 1 + SALT + NONCE + TAG;
  if (der.length <= body || der[0] !== SEAL_VERSION) return { problem: "is sealed in a form that is not known" };
  const salt = der.subarray(1, 1 + SALT);
  const nonce = der.subarray(1 + SALT, 1 + SALT + NONCE);
  try {
    const opener = createDecipheriv("aes-256-gcm", scryptSync(secret, salt, 32, SCRYPT), nonce);
    opener.setAAD(Buffer.from(SEALED));
    opener.setAuthTag(der.subarray(body - TAG, body));
    return fromDer(Buffer.concat([opener.update(der.subarray(body)), opener.final()]), WRONG_SECRET);
  } catch {
    return { problem: WRONG_SECRET };
  }
}

function openPkcs8(der: Buffer, secret: string): OpenedKey {
  if (secret === "") return { problem: NO_SECRET };
  try {
    return { key: createPrivateKey({ key: der, format: "der", type: "pkcs8", passphrase: secret }) };
  } catch {
    return { problem: WRONG_SECRET };
  }
}

const LEGACY: Readonly<Record<string, { readonly name: string; readonly keyBytes: number }>> = {
  "AES-256-CBC": { name: "aes-256-cbc", keyBytes: 32 },
  "AES-192-CBC": { name: "aes-192-cbc", keyBytes: 24 },
  "AES-128-CBC": { name: "aes-128-cbc", keyBytes: 16 },
};

function openLegacy(block: PemBlock, secret: string): OpenedKey {
  if (secret === "") return { problem: NO_SECRET };
  const [name = "", iv = ""] = (block.headers.get("dek-info") ?? "").split(",").map((part) => part.trim());
  const cipher = LEGACY[name.toUpperCase()];
  if (cipher === undefined || !/^[0-9A-Fa-f]{32}$/.test(iv))
    return {
      problem: `is encrypted with ${JSON.stringify(name)}; AES-256-CBC, AES-192-CBC and AES-128-CBC can be read`,
    };
  const vector = Buffer.from(iv, "hex");
  try {
    const opener = createDecipheriv(cipher.name, legacyKey(secret, vector.subarray(0, 8), cipher.keyBytes), vector);
    return fromDer(Buffer.concat([opener.update(block.der), opener.final()]), WRONG_SECRET);
  } catch {
    return { problem: WRONG_SECRET };
  }
}

/** EVP_BytesToKey with MD5 and one round: what RFC 1423 files mean by a password. */
function legacyKey(secret: string, salt: Buffer, length: number): Buffer {
  let key = Buffer.alloc(0);
  let last = Buffer.alloc(0);
  while (key.length < length) {
    last = createHash("md5").update(last).update(secret, "utf8").update(salt).digest();
    key = Buffer.concat([key, last]);
  }
  return key.subarray(0, length);
}

/** The label does not always tell the truth about the form (Tyk calls every encrypted one the same). */
function fromDer(der: Buffer, problem: string): OpenedKey {
  for (const type of ["pkcs8", "pkcs1", "sec1"] as const) {
    try {
      return { key: createPrivateKey({ key: der, format: "der", type }) };
    } catch {
      // The next form.
    }
  }
  return { problem };
}
