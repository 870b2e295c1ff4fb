-- Tests sealing and verifying from SQL, for json and jsonb.
create extension if not exists pgtap;
begin;
select plan(61);

create temp table sealed as
  select sealcast.seal('chat', '11111111-1111-1111-1111-111111111111', '22222222-2222-2222-2222-222222222222',
                       '33333333-3333-3333-3333-333333333333', 1700000000000, '{"type": "chat", "content": "hello"}') e;
select is(e::text, '{"v":1,"kid":"k1","t":"chat","stream_id":"11111111-1111-1111-1111-111111111111",'
                   '"s":"22222222-2222-2222-2222-222222222222","ts":1700000000000,'
                   '"txn_id":"33333333-3333-3333-3333-333333333333","d":{"content":"hello","type":"chat"},'
                   '"sig":"c5e4938a9048c32028fa2da860bdccbc1ecf180795153452f2d53f986ba5da5a"}',
          'seal() returns the known envelope, byte for byte') from sealed;
select ok(sealcast.verify(e), 'verify(json) accepts a sealed envelope') from sealed;
select ok(sealcast.verify(e::jsonb), 'verify(jsonb) accepts a sealed envelope') from sealed;
select is(sealcast.verify_detail(e), 'ok', 'verify_detail(json) of a sealed envelope is ok') from sealed;
select is(sealcast.verify_detail(e::jsonb), 'ok', 'verify_detail(jsonb) of a sealed envelope is ok') from sealed;
select is(sealcast.seal('chat', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'Room', 'x', 1, '{}') ->> 'stream_id',
          'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'UUIDs are sealed in lower case');
select is(sealcast.seal('chat', 's', 'User', 'x', 1, '{}') ->> 's', 'User', 'ids that are not UUIDs are sealed unchanged');
select is(sealcast.seal('chat', 's', 'u', 'x', 1, null)::text, null, 'seal() of a null d is null');

-- Every change of an envelope is found, in json and in jsonb.
create temp table tampered(what text, e text, verdict text);
insert into tampered
  select what, case when pattern is null then replacement else replace(e::text, pattern, replacement) end, verdict
  from sealed, (values
    ('a changed payload', '"hello"', '"hellO"', 'bad_signature'),
    ('a changed type', '"t":"chat"', '"t":"chet"', 'bad_signature'),
    ('a changed stream', '1111-1111', '1111-1112', 'bad_signature'),
    ('a changed sender', '2222-2222', '2222-2223', 'bad_signature'),
    ('a changed txn_id', '3333-3333', '3333-3334', 'bad_signature'),
    ('a changed ts', '1700000000000', '1700000000001', 'bad_signature'),
    ('another known key', '"k1"', '"k2"', 'bad_signature'),
    ('an unknown key', '"k1"', '"k9"', 'unknown_kid'),
    ('a signature with a digit more', '"sig":"', '"sig":"0', 'malformed'),
    ('another version', '"v":1', '"v":2', 'malformed'),
    ('a tenth member', '"v":1', '"v":1,"w":1', 'malformed'),
    ('a missing member', '"v":1,', '', 'malformed'),
    ('an inexact number', '"hello"', '9007199254740993', 'malformed'),
    ('an array', null, '[]', 'malformed'),
    ('a scalar', null, '1', 'malformed'),
    ('deep nesting', null, repeat('[', 200) || repeat(']', 200), 'malformed'),
    ('a number beyond a double', null, '1e400', 'malformed')
  ) x(what, pattern, replacement, verdict);
select is(sealcast.verify_detail(e::json), verdict, 'verify_detail(json) finds ' || what) from tampered;
select is(sealcast.verify_detail(e::jsonb), verdict, 'verify_detail(jsonb) finds ' || what) from tampered;
select is(sealcast.verify_detail(replace(e::text, '"v":1', '"v":1,"v":1')::json), 'malformed', 'verify_detail(json) finds a duplicate member') from sealed;
select is(count(*), 0::bigint, 'verify() is false for all changed envelopes')
  from tampered where sealcast.verify(e::json) or sealcast.verify(e::jsonb);

select is(array[sealcast.verify(null::json), sealcast.verify(null::jsonb)], array[null, null]::boolean[], 'verify() of null is null');
select is(sealcast.verify_detail(null::json, '1 s'), null, 'verify_detail() of null is null');

-- Age. A month counts as 30 days. An envelope slightly ahead of this clock is accepted.
create function pg_temp.verdict(age interval, max_age interval default null) returns text language sql as $$
  select sealcast.verify_detail(
    sealcast.seal('chat', 's', 'u', 'x', (extract(epoch from clock_timestamp() - age) * 1000)::bigint, '{}'), max_age)
$$;
select is(pg_temp.verdict('10 years'), 'ok', 'without max_age, an envelope of 10 years ago is ok');
select is(pg_temp.verdict('10 minutes', '11 minutes'), 'ok', 'an envelope younger than max_age is ok');
select is(pg_temp.verdict('10 minutes', '9 minutes'), 'expired', 'an envelope older than max_age is expired');
select is(pg_temp.verdict('29 days', '1 month'), 'ok', 'an envelope of 29 days is younger than a month');
select is(pg_temp.verdict('31 days', '1 month'), 'expired', 'an envelope of 31 days is older than a month');
select is(pg_temp.verdict('-30 s', '1 s'), 'ok', 'an envelope 30 seconds ahead of the clock is ok');
select is(pg_temp.verdict('-2 minutes'), 'from_future', 'an envelope two minutes ahead of the clock is from_future');
select throws_ok($$select pg_temp.verdict('0', '-1 ms')$$, '22023', 'max_age is negative', 'a negative max_age is an error');

-- Values that cannot be sealed.
prepare seal(text, text, bigint, json) as select sealcast.seal($1, $2, 'u', 'x', $3, $4);
select throws_ok($$execute seal('chat', 's|', 1, '{}')$$, '22023', null, 'seal() refuses a stream with |');
select throws_ok($$execute seal('', 's', 1, '{}')$$, '22023', null, 'seal() refuses an empty type');
select throws_ok($$execute seal('chat', 's', -1, '{}')$$, '22023', null, 'seal() refuses a negative ts');
select throws_ok($$execute seal('chat', 's', 1, '{"a":1,"a":1}')$$, '22P02', null, 'seal() refuses a duplicate key in d');
select throws_ok($$execute seal('chat', 's', 1, '{"a":9007199254740993}')$$, '22P02',
                 'invalid JSON at byte 5: a double cannot hold this number exactly; send it as a string', 'seal() refuses a number that a double cannot hold exactly');

-- The envelope of a stored message.
select is(sealcast.envelope_text('k1', 'chat', '11111111-1111-1111-1111-111111111111', '22222222-2222-2222-2222-222222222222', 1700000000000,
            '33333333-3333-3333-3333-333333333333', '{"content":"hello","type":"chat"}', decode(e ->> 'sig', 'hex')),
          e::text, 'envelope_text() gives the same envelope as seal()') from sealed;
select throws_ok($$select sealcast.envelope_text('k1', 'chat', u, u, 1, u, '{}', 'short') from gen_random_uuid() u$$,
                 '22023', 'a signature has 32 bytes (HMAC-SHA-256) or 64 (Ed25519), not 5', 'envelope_text() refuses a signature of another length');

select * from finish();
rollback;
