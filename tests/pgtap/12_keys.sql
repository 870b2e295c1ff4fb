-- The keyring as SQL sees it, and signing by hand with each of its keys.
create extension if not exists pgtap;
begin;
select plan(14);

select results_eq($$select * from sealcast.keys() where kid in ('k1', 'k2')$$,
                  $$values ('k1', true, 'f98c2c14b9ad1572'), ('k2', false, '128bf62fc98a02a3')$$,
                  'fingerprints of SHA-256 of the secrets, the one that signs marked');
select is(sealcast.signing_kid(), 'k1');

-- HMAC-SHA-256 under the text of each secret, without its file's trailing newline.
select is(sealcast.sign(''), 'e67226c4c84b117d421170d4df708dbfcc218f0814e16faafd21ef1b4132ec32');
select is(sealcast.sign('', 'k1'), sealcast.sign(''));
select is(sealcast.sign('', null), sealcast.sign(''));
select is(sealcast.sign('', 'k2'), '9597a36def9cc257f642e33314b34099984207899436ff578b6f82415cef2d51');
select is(sealcast.sign(null), null);
select is(sealcast.sign(sealcast.signing_string(
            'chat', '11111111-1111-1111-1111-111111111111', '22222222-2222-2222-2222-222222222222',
            '33333333-3333-3333-3333-333333333333', 1700000000000,
            sealcast.payload_hash('{"content": "hello", "type": "chat"}'::json)), 'k2'),
          '20c36745b7c5cc725c23d624ef357ae5aa82594f1de141467a11ccbb7eb4fb09');

-- A key that does not sign still verifies.
select is(sealcast.verify_detail(format(
            '{"v":1,"kid":"k2","t":"chat","stream_id":"s","s":"u","ts":1,"txn_id":"x","d":{},"sig":"%s"}',
            sealcast.sign(sealcast.signing_string('chat', 's', 'u', 'x', 1, sealcast.payload_hash('{}'::json)), 'k2'))::json),
          'ok');

select throws_ok($$select sealcast.sign('', 'k9')$$, '42704', 'key "k9" is not in the keyring');
select throws_ok($$select sealcast.sign('', '../k1')$$, '42704');

-- The keys are the server's to change: no session can.
select throws_ok($$set sealcast.keyring = '/tmp'$$, '55P02');
select throws_ok($$set sealcast.signing_kid = 'k2'$$, '55P02');
select throws_ok($$set sealcast.no_such_setting = 1$$, '42602');

select * from finish();
rollback;
