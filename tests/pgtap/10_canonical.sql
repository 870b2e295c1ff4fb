-- Tests canonical JSON, the payload hash and the signing string from SQL.
create extension if not exists pgtap;
begin;
select plan(44);

-- The known answer of the contract. The original specification has the SHA-256 of the bare word `hello` in its place.
select is(sealcast.canonicalize('{"content": "hello", "type": "chat"}'::json), '{"content":"hello","type":"chat"}', 'canonicalize() gives the known answer');
select is(sealcast.payload_hash('{"content": "hello", "type": "chat"}'::json),
          '17cf87dd7df38f177282a8341058a4b1384fda337e2b3820099e7481e85e2e09', 'payload_hash(json) gives the known answer');
select is(sealcast.payload_hash('{"type": "chat", "content": "hello"}'::jsonb),
          '17cf87dd7df38f177282a8341058a4b1384fda337e2b3820099e7481e85e2e09', 'payload_hash(jsonb) gives the known answer');
select is(encode(sha256('hello'), 'hex'), '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824', 'the hash in the original specification is the SHA-256 of the bare word hello');

-- json and jsonb give the same bytes.
create temp table documents(document text);
insert into documents values
  ('{}'), ('[]'), ('null'), ('true'), ('"x"'), ('1e3'), ('-0.0'), ('[[],{},[{}]]'),
  ('{"\u20ac":"Euro","\r":"CR","\ufb33":"Dalet","1":"One","\ud83d\ude00":"Grin","\u0080":"Control","\u00f6":"O"}'),
  ('{"aa":1,"b":{"d":null,"c":[1.50,1E21,1e-7,0.000001,333333333.33333329]},"a":true}'),
  ('{"":"\u0001\b\t\n\f\r\"\\/\u007f"}'),
  (format('[%s,-0.%s,%s]', repeat('123', 100), repeat('1234567890', 100), '12345678901234567890.5'));
select is(sealcast.canonicalize(document::jsonb), sealcast.canonicalize(document::json), 'json and jsonb have the same canonical form: ' || left(document, 40))
  from documents;
select is(sealcast.canonicalize('{"\u20ac":"Euro","\r":"CR","\ufb33":"Dalet","1":"One","\ud83d\ude00":"Grin","\u0080":"Control","\u00f6":"O"}'::jsonb),
          e'{"\\r":"CR","1":"One","\u0080":"Control","\u00f6":"O","\u20ac":"Euro","\U0001F600":"Grin","\ufb33":"Dalet"}',
          'keys are in UTF-16 order, not in the order of jsonb');

-- Every numeric that jsonb can hold has the canonical form of its text.
select is(count(*), 0::bigint, 'numerics of all sizes are canonical as their text')
  from generate_series(-330, 308, 3) e, unnest(array[1, -7, 9999, 10000, 123456789, 0.5]) m, lateral (select m * 10::numeric ^ e n) x
  where abs(n) < 1e308 and sealcast.canonicalize(to_jsonb(n)) is distinct from sealcast.canonicalize(n::text::json);
select is(count(*), 0::bigint, 'integers and decimals beside every power of ten are canonical as their text')
  from generate_series(-6, 21) e, unnest(array[-1, 0, 1]) beside, unnest(array[1, -1, 9, 0.01]) sign,
    lateral (select sign * (10::numeric ^ e + beside) n) x
  where sealcast.canonicalize(to_jsonb(n)) is distinct from sealcast.canonicalize(n::text::json);
select is(sealcast.canonicalize('-1e-16000'::jsonb), '0', 'a number below the smallest double becomes 0');

-- Errors, and the place that each error names.
prepare refused(json) as select sealcast.canonicalize($1);
prepare refused_jsonb(jsonb) as select sealcast.canonicalize($1);
select throws_ok($$execute refused('{"a":1,"a":2}')$$, '22P02', 'invalid JSON at byte 7: duplicate key', 'a duplicate key is an error with its byte offset');
select throws_ok($$execute refused('{"a":1,"\u0061":2}')$$, '22P02', 'invalid JSON at byte 7: duplicate key', 'an escaped duplicate key is an error with its byte offset');
select throws_ok($$execute refused('[1,1e400]')$$, '22P02', 'invalid JSON at byte 3: number is too large for a double', 'a number beyond a double is an error with its byte offset');
select throws_ok($$execute refused_jsonb('{"a":[1,-1e400]}')$$, '22P02', 'invalid JSON at $["a"][1]: number is too large for a double', 'a number beyond a double in jsonb is an error with its path');
select throws_ok($$execute refused('["\ud800"]')$$, '22P02', 'invalid JSON at byte 2: lone surrogate', 'a lone surrogate is an error with its byte offset');
select lives_ok(format($$execute refused(%L)$$, repeat('[', 128) || repeat(']', 128)), 'nesting of 128 is canonicalised');
select throws_ok(format($$execute refused(%L)$$, repeat('[', 129) || repeat(']', 129)), '22P02',
                 'invalid JSON at byte 128: nesting is deeper than 128 levels', 'nesting of 129 is an error with its byte offset');
select throws_like(format($$execute refused_jsonb(%L)$$, repeat('[', 129) || repeat(']', 129)), '%nesting is deeper than 128 levels', 'nesting of 129 in jsonb is an error');

-- Large documents.
select is(md5(sealcast.canonicalize(d::json)), md5(sealcast.canonicalize(d::jsonb)), '100,000 keys have the same canonical form from json and jsonb')
  from (select '{' || string_agg(format('"%s":%s', md5(i::text), i), ',') || '}' d from generate_series(1, 100000) i) x;
select is(length(sealcast.canonicalize(to_json(repeat('é', 10000000)))), 10000002, 'a string of 20 MB is canonicalised');

-- The end of the document is invalid. A cancel must take effect before it is reached.
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

-- Nulls, and the properties of the functions.
select is(sealcast.canonicalize(null::json), null, 'canonicalize(json) of null is null');
select is(sealcast.canonicalize(null::jsonb), null, 'canonicalize(jsonb) of null is null');
select is(sealcast.payload_hash(null::json), null, 'payload_hash() of null is null');
select is(count(*), 5::bigint, 'the pure functions are immutable, strict and parallel safe')
  from pg_proc where pronamespace = 'sealcast'::regnamespace and proname in ('canonicalize', 'payload_hash', 'signing_string')
    and provolatile = 'i' and proisstrict and proparallel = 's';

-- The signing string.
select is(sealcast.signing_string('chat', 's', 'u', 'x', 1700000000000, 'abc'),
          'v=1|t=chat|stream_id=s|sender_id=u|txn_id=x|ts=1700000000000|payload_hash=abc', 'signing_string() joins the fields in order');
select is(sealcast.signing_string('chat', 's', 'u', null, 1, 'abc'), null, 'signing_string() of a null field is null');
select throws_ok(format('select sealcast.signing_string(%L, %L, %L, %L, 1, %L)', t, 's', 'u', 'x', 'abc'), '22023',
                 null, 'signing_string() refuses t = ' || quote_literal(t))
  from unnest(array['', 'a|b', 'a=b', e'a\x01', e'a\u007f', e'a\u0085']) t;
select throws_ok($$select sealcast.signing_string('chat', 's', 'u', 'x', -1, 'abc')$$, '22023', 'signed field "ts" is out of range', 'signing_string() refuses a negative ts');

select * from finish();
rollback;
