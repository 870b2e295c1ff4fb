// The binary has the hardening that CMakeLists.txt asks for, as readelf of binutils shows it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const program = process.env.SEALCASTD;
const elf = (...options) => execFileSync('readelf', ['--wide', ...options, program], { encoding: 'utf8', maxBuffer: 1 << 28 });

test('sealcastd is position independent, and its relocations are read-only before main()', () => {
  assert.match(elf('--file-header'), /Type: +DYN .*Position-Independent Executable/);
  assert.match(elf('--program-headers'), /GNU_RELRO/);
  assert.match(elf('--dynamic'), /BIND_NOW|FLAGS_1.*NOW/);
});

test('its stack is not executable', () => {
  const [, flags] = elf('--program-headers').match(/GNU_STACK(?: +0x[0-9a-f]+){5} +([RWE ]+?) +0x/);
  assert.equal(flags.trim(), 'RW');
});

test('it has stack protectors and checked functions of the C library', () => {
  const symbols = elf('--dyn-syms');
  assert.match(symbols, /__stack_chk_fail/);
  assert.match(symbols, /__\w+_chk@GLIBC/);
});
