-- Tests the keyring as SQL shows it, and signing with each of its keys.
create extension if not exists pgtap;
begin;
select plan(35);

select results_eq($$select * from sealcast.keys() where kid in ('e1', 'k1', 'k2')$$,
                  $$values ('e1', false, '21fe31dfa154a261', 'ed25519',
                            '\xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'::bytea),
                           ('k1', true, 'f98c2c14b9ad1572', 'hmac-sha256', null), ('k2', false, '128bf62fc98a02a3', 'hmac-sha256', null)$$,
                  'keys() shows the fingerprint of each secret or public key, and which key signs');
select is(sealcast_internal.signing_kid(), 'k1', 'signing_kid() is the key that signs');

-- HMAC-SHA-256 under the text of each secret, without the trailing newline of its file.
select is(sealcast.sign(''), 'e67226c4c84b117d421170d4df708dbfcc218f0814e16faafd21ef1b4132ec32', 'sign() returns the HMAC-SHA-256 under the signing key');
select is(sealcast.sign('', 'k1'), sealcast.sign(''), 'sign() with the kid of the signing key is the same');
select is(sealcast.sign('', null), sealcast.sign(''), 'sign() with kid null signs with the signing key');
select is(sealcast.sign('', 'k2'), '9597a36def9cc257f642e33314b34099984207899436ff578b6f82415cef2d51', 'sign() signs with another key by its kid');
select is(sealcast.sign(null), null, 'sign() of null is null');
select is(sealcast.sign(sealcast.signing_string(
            'chat', '11111111-1111-1111-1111-111111111111', '22222222-2222-2222-2222-222222222222',
            '33333333-3333-3333-3333-333333333333', 1700000000000,
            sealcast.payload_hash('{"content": "hello", "type": "chat"}'::json)), 'k2'),
          '20c36745b7c5cc725c23d624ef357ae5aa82594f1de141467a11ccbb7eb4fb09', 'sign() of a signing string under k2 gives the known answer');

-- A key that does not sign still verifies.
select is(sealcast.verify_detail(format(
            '{"v":1,"kid":"k2","t":"chat","stream_id":"s","s":"u","ts":1,"txn_id":"x","d":{},"sig":"%s"}',
            sealcast.sign(sealcast.signing_string('chat', 's', 'u', 'x', 1, sealcast.payload_hash('{}'::json)), 'k2'))::json),
          'ok', 'an envelope of a key that does not sign is verified');

-- Ed25519: RFC 8032, TEST 1, whose message is empty.
select is(sealcast.sign('', 'e1'), 'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155'
                                   '5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b', 'sign() with an Ed25519 key gives the known answer of RFC 8032');
create temp table said(what text, kid text, sig text, verdict text);
with signing(string) as (select sealcast.signing_string('chat', 's', 'u', 'x', 1, sealcast.payload_hash('{}'::json))),
     made(mac, sig) as (select sealcast.sign(string, 'k1'), sealcast.sign(string, 'e1') from signing)
insert into said
  select what, kid, x.sig, verdict from made, lateral (values
    ('a signature under its own key', 'e1', made.sig, 'ok'),
    ('a MAC under its own key', 'k1', mac, 'ok'),
    ('a MAC under an Ed25519 key', 'e1', mac, 'bad_signature'),
    ('a signature under an HMAC key', 'k1', made.sig, 'bad_signature'),
    ('half a signature', 'e1', left(made.sig, 64), 'bad_signature'),
    ('a MAC twice', 'k1', mac || mac, 'bad_signature'),
    ('a MAC twice under an Ed25519 key', 'e1', mac || mac, 'bad_signature'),
    ('a signature of neither length', 'e1', left(made.sig, 126), 'malformed'),
    ('a signature in upper case', 'e1', upper(made.sig), 'malformed')) x(what, kid, sig, verdict);
select is(sealcast.verify_detail(e::json), verdict, format('verify_detail(json) of %s is %s', what, verdict))
  from said, format('{"v":1,"kid":"%s","t":"chat","stream_id":"s","s":"u","ts":1,"txn_id":"x","d":{},"sig":"%s"}', kid, sig) e;
select is(sealcast.verify_detail(e::jsonb), verdict, format('verify_detail(jsonb) of %s is %s', what, verdict))
  from said, format('{"v":1,"kid":"%s","t":"chat","stream_id":"s","s":"u","ts":1,"txn_id":"x","d":{},"sig":"%s"}', kid, sig) e;
select is(sealcast.verify_detail(sealcast.envelope_text('e1', 'chat', u, u, 1, u, '{}', sig)::json) || ' ' || length(sig), 'ok 64',
          'envelope_text() takes a signature of Ed25519')
  from gen_random_uuid() u, decode(sealcast.sign(sealcast.signing_string('chat', u::text, u::text, u::text, 1, sealcast.payload_hash('{}'::json)), 'e1'), 'hex') sig;

-- An HMAC key has no public part.
set local role sealcast_user;
select is(sealcast.public_keys()::text,
          '{"keys":[{"crv":"Ed25519","kid":"e1","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}', 'public_keys() shows the Ed25519 keys only');
reset role;

select throws_ok($$select sealcast.sign('', 'k9')$$, '42704', 'key "k9" is not in the keyring', 'sign() refuses an unknown kid');
select throws_ok($$select sealcast.sign('', '../k1')$$, '42704', null, 'sign() refuses a path as kid');

-- Only the server's configuration sets the keys, not a session.
select throws_ok($$set sealcast.keyring = '/tmp'$$, '55P02', null, 'a session cannot set sealcast.keyring');
select throws_ok($$set sealcast.signing_kid = 'k2'$$, '55P02', null, 'a session cannot set sealcast.signing_kid');
select throws_ok($$set sealcast.no_such_setting = 1$$, '42602', null, 'an unknown setting of sealcast is an error');

select * from finish();
rollback;
