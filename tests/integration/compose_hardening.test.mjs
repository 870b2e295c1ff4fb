// docker-compose.yml and the Dockerfile deny the containers root, writable file systems and capabilities.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const toJson = 'import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)';
const { services } = JSON.parse(execFileSync('python3', ['-c', toJson, path('docker-compose.yml')], { encoding: 'utf8' }));

const builds = Object.values(services).filter(({ build }) => build);

test('every image is built from this checkout by exactly one service', () => {
  const images = builds.map(({ image }) => image);
  assert.deepEqual(images, [...new Set(images)]);
  for (const [name, { build, image, pull_policy }] of Object.entries(services)) {
    assert.equal(pull_policy, build ? 'build' : 'never', name);
    assert.ok(images.includes(image), `no service builds ${image} of ${name}`);
  }
});

test('every container has a read-only root file system, no capabilities, no new privileges and no core dumps', () => {
  assert.ok(Object.keys(services).length >= 5);
  for (const [name, service] of Object.entries(services)) {
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ['ALL'], name);
    assert.deepEqual(service.ulimits, { core: 0 }, name);
    assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
    for (const key of ['privileged', 'pid', 'ipc', 'userns_mode', 'devices', 'cgroup_parent']) assert.equal(service[key], undefined, `${name}: ${key}`);
    for (const volume of service.volumes ?? []) assert.match(volume, /^[a-z]/, `${name} mounts a directory of the host`);
    // Only the container that makes the secrets runs as root and may change owners. It has no network and ends.
    if (name === 'init') {
      assert.deepEqual([service.user, service.network_mode, service.cap_add], ['root', 'none', ['CHOWN', 'DAC_OVERRIDE', 'FOWNER']]);
    } else {
      assert.deepEqual([service.user, service.cap_add, service.network_mode], [undefined, undefined, undefined], name);
    }
  }
});

test('no image runs as root', () => {
  const stages = readFileSync(path('docker/Dockerfile'), 'utf8').split(/^FROM /m).slice(1);
  const users = new Map(stages.map((stage) => [/ AS (\S+)/.exec(stage)[1], [...stage.matchAll(/^USER (\S+)$/gm)].at(-1)?.[1]]));
  for (const { target } of builds.map(({ build }) => build)) {
    assert.ok(users.get(target) && !/^(root|0)/.test(users.get(target)), `${target} runs as ${users.get(target) ?? 'root'}`);
  }
});

test('ports are open to this machine only, and secrets are read-only files', () => {
  for (const [name, service] of Object.entries(services)) {
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/, name);
    for (const [variable, value] of Object.entries(service.environment ?? {})) {
      if (/PASSWORD|SECRET|KEY/.test(variable)) assert.match(variable, /_FILE$/, `${name}: ${variable}`);
      assert.doesNotMatch(String(value), /:\/\/[^/@]*:[^/@]*@/, `${name}: ${variable} holds a password`);
    }
    for (const volume of service.volumes ?? []) if (volume.includes('/run/secrets/')) assert.match(volume, /:ro$/, `${name}: ${volume}`);
  }
});
