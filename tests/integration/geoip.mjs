// Makes a small Geo-IP database for a test, and damages it.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const writer = fileURLToPath(new URL('../make_mmdb.pl', import.meta.url));

// `lines` are "NETWORK COUNTRY" or "NETWORK COUNTRY LATITUDE LONGITUDE". An existing file is replaced.
export function makeDatabase(file, lines) {
  execFileSync('perl', [writer, file], { input: lines.join('\n'), stdio: ['pipe', 'inherit', 'inherit'] });
  chmodSync(file, 0o644); // sealcastd may be another user
  return file;
}

const METADATA = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1'); // what the metadata of each database begin with

// Replaces the database `to` by a copy of `file` with the same metadata and random bytes: instead of all bytes before the
// metadata, or only of those of the records.
export function damageDatabase(file, to, { recordsOnly = false } = {}) {
  const bytes = readFileSync(file);
  const end = bytes.lastIndexOf(METADATA);
  // The search tree ends with 16 bytes of zeros.
  const begin = recordsOnly ? bytes.indexOf(Buffer.alloc(16)) + 16 : 0;
  let random = Buffer.alloc(0);
  for (let n = 0; random.length < end - begin; n++) random = Buffer.concat([random, createHash('sha256').update(`${n}`).digest()]);
  random.copy(bytes, begin, 0, end - begin);
  writeFileSync(`${to}.new`, bytes, { mode: 0o644 });
  renameSync(`${to}.new`, to);
}
