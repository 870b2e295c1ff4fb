-- Canonical JSON, payload hash and signing string from SQL.
create extension if not exists pgtap;
begin;
select plan(44);

-- The known answer of the contract, and what the original specification mistook for it.
select is(sealcast.canonicalize('{"content": "hello", "type": "chat"}'::json), '{"content":"hello","type":"chat"}');
select is(sealcast.payload_hash('{"content": "hello", "type": "chat"}'::json),
          '17cf87dd7df38f177282a8341058a4b1384fda337e2b3820099e7481e85e2e09');
select is(sealcast.payload_hash('{"type": "chat", "content": "hello"}'::jsonb),
          '17cf87dd7df38f177282a8341058a4b1384fda337e2b3820099e7481e85e2e09');
select is(encode(sha256('hello'), 'hex'), '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824');

-- Both doors give the same bytes.
create temp table documents(document text);
insert into documents values
  ('{}'), ('[]'), ('null'), ('true'), ('"x"'), ('1e3'), ('-0.0'), ('[[],{},[{}]]'),
  ('{"\u20ac":"Euro","\r":"CR","\ufb33":"Dalet","1":"One","\ud83d\ude00":"Grin","\u0080":"Control","\u00f6":"O"}'),
  ('{"aa":1,"b":{"d":null,"c":[1.50,1E21,1e-7,0.000001,333333333.33333329]},"a":true}'),
  ('{"":"\u0001\b\t\n\f\r\"\\/\u007f"}'),
  (format('[%s,-0.%s,%s]', repeat('123', 100), repeat('1234567890', 100), '12345678901234567890.5'));
select is(sealcast.canonicalize(document::jsonb), sealcast.canonicalize(document::json), 'json = jsonb: ' || left(document, 40))
  from documents;
select is(sealcast.canonicalize('{"\u20ac":"Euro","\r":"CR","\ufb33":"Dalet","1":"One","\ud83d\ude00":"Grin","\u0080":"Control","\u00f6":"O"}'::jsonb),
          e'{"\\r":"CR","1":"One","\u0080":"Control","\u00f6":"O","\u20ac":"Euro","\U0001F600":"Grin","\ufb33":"Dalet"}',
          'keys in UTF-16 order, not in that of jsonb');

-- Every numeric that jsonb can hold reads as its text does.
select is(count(*), 0::bigint, 'numerics of all sizes')
  from generate_series(-330, 308, 3) e, unnest(array[1, -7, 9999, 10000, 123456789, 0.5]) m, lateral (select m * 10::numeric ^ e n) x
  where abs(n) < 1e308 and sealcast.canonicalize(to_jsonb(n)) is distinct from sealcast.canonicalize(n::text::json);
select is(count(*), 0::bigint, 'integers and decimals beside every power of ten')
  from generate_series(-6, 21) e, unnest(array[-1, 0, 1]) beside, unnest(array[1, -1, 9, 0.01]) sign,
    lateral (select sign * (10::numeric ^ e + beside) n) x
  where sealcast.canonicalize(to_jsonb(n)) is distinct from sealcast.canonicalize(n::text::json);
select is(sealcast.canonicalize('-1e-16000'::jsonb), '0');

-- What is refused, and where it is.
prepare refused(json) as select sealcast.canonicalize($1);
prepare refused_jsonb(jsonb) as select sealcast.canonicalize($1);
select throws_ok($$execute refused('{"a":1,"a":2}')$$, '22P02', 'invalid JSON at byte 7: a key that stands twice in its object');
select throws_ok($$execute refused('{"a":1,"\u0061":2}')$$, '22P02', 'invalid JSON at byte 7: a key that stands twice in its object');
select throws_ok($$execute refused('[1,1e400]')$$, '22P02', 'invalid JSON at byte 3: a number too large for a double');
select throws_ok($$execute refused_jsonb('{"a":[1,-1e400]}')$$, '22P02', 'invalid JSON at $["a"][1]: a number too large for a double');
select throws_ok($$execute refused('["\ud800"]')$$, '22P02', 'invalid JSON at byte 2: a lone surrogate');
select lives_ok(format($$execute refused(%L)$$, repeat('[', 128) || repeat(']', 128)));
select throws_ok(format($$execute refused(%L)$$, repeat('[', 129) || repeat(']', 129)), '22P02',
                 'invalid JSON at byte 128: nested deeper than 128');
select throws_like(format($$execute refused_jsonb(%L)$$, repeat('[', 129) || repeat(']', 129)), '%nested deeper than 128');

-- Large documents.
select is(md5(sealcast.canonicalize(d::json)), md5(sealcast.canonicalize(d::jsonb)), '100,000 keys')
  from (select '{' || string_agg(format('"%s":%s', md5(i::text), i), ',') || '}' d from generate_series(1, 100000) i) x;
select is(length(sealcast.canonicalize(to_json(repeat('é', 10000000)))), 10000002, 'a string of 20 MB');

-- A cancel takes effect in the middle of a document: before its end, which is wrong, is met.
create temp table hours_of_work as select ('[' || repeat('123.25,', 3000000) || '"\ud800"]')::json as document;
create function pg_temp.cancelled() returns text language plpgsql as $$
begin
  perform case when pg_cancel_backend(pg_backend_pid()) then sealcast.canonicalize(w.document) end
  from (select document from hours_of_work offset 0) w;
  return 'nothing happened';
exception when query_canceled or invalid_text_representation then
  return sqlstate;
end $$;
select is(pg_temp.cancelled(), '57014', 'a cancel takes effect in the middle of a document');

-- Nulls, volatility.
select is(sealcast.canonicalize(null::json), null);
select is(sealcast.canonicalize(null::jsonb), null);
select is(sealcast.payload_hash(null::json), null);
select is(count(*), 5::bigint, 'immutable, strict and parallel safe')
  from pg_proc where pronamespace = 'sealcast'::regnamespace and proname in ('canonicalize', 'payload_hash', 'signing_string')
    and provolatile = 'i' and proisstrict and proparallel = 's';

-- The signing string.
select is(sealcast.signing_string('chat', 's', 'u', 'x', 1700000000000, 'abc'),
          'v=1|t=chat|stream_id=s|sender_id=u|txn_id=x|ts=1700000000000|payload_hash=abc');
select is(sealcast.signing_string('chat', 's', 'u', null, 1, 'abc'), null);
select throws_ok(format('select sealcast.signing_string(%L, %L, %L, %L, 1, %L)', t, 's', 'u', 'x', 'abc'), '22023',
                 null, 'refuses t = ' || quote_literal(t))
  from unnest(array['', 'a|b', 'a=b', e'a\x01', e'a\u007f', e'a\u0085']) t;
select throws_ok($$select sealcast.signing_string('chat', 's', 'u', 'x', -1, 'abc')$$, '22023', 'signed field "ts" is out of range');

select * from finish();
rollback;
