// Makes a small Geo-IP database for a test.
import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const writer = fileURLToPath(new URL('../make_mmdb.pl', import.meta.url));

// `lines` are "NETWORK COUNTRY" or "NETWORK COUNTRY LATITUDE LONGITUDE". An existing file is replaced.
export function makeDatabase(file, lines) {
  execFileSync('perl', [writer, file], { input: lines.join('\n'), stdio: ['pipe', 'inherit', 'inherit'] });
  chmodSync(file, 0o644); // sealcastd may be another user
  return file;
}
