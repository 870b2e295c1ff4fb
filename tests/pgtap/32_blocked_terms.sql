-- Tests blocked terms: who may add and remove them, what they do to messages, and what moderators see of it.
begin;
\ir scene.psql
select plan(130);

create function pg_temp.block(stream_id uuid, term text, kind text default 'literal', action text default 'refuse', whole_word boolean default null)
  returns text language sql as $$
  select coalesce(state || ' ' || detail, 'ok')
  from pg_temp.try('sealcast_admin', null, format('select sealcast.add_blocked_term(%L, %L, %L, %L, %L)', stream_id, term, kind, whole_word, action))
$$;
-- Sends a message with this content. Returns the content that was sealed, or the code of the refusal.
create function pg_temp.say(stream_id uuid, sender_id uuid, content text, txn_id uuid default gen_random_uuid()) returns text language sql as $$
  select coalesce(v.code, (v.envelope::jsonb) #>> '{d,content}')
  from sealcast.admit(array[stream_id], '{chat}', array[sender_id], array[txn_id], array[json_build_object('content', content)::text]) v
$$;
create function pg_temp.plan_of(query text) returns text language plpgsql as $$
declare
  line text;
  plan text := '';
begin
  for line in execute 'explain (costs off) ' || query loop plan := plan || line || E'\n'; end loop;
  return plan;
end $$;

select is(pg_temp.say(:room, :guest, 'a darn message'), 'a darn message', 'without terms every message is admitted');

-- Who may add, remove and read terms.
select is(pg_temp.outcome('sealcast_user', sub, format('select sealcast.add_blocked_term(%L, ''darn'')', :room)), expected, 'add: ' || why)
from (values (:owner, 'ok', 'an owner'), (:moderator, 'ok', 'a moderator'), (:vip, 'PT403 role_required', 'a user with another role'),
             (:guest, 'PT403 role_required', 'a user without a role'), (null, 'PT401 unauthenticated', 'no session')) v (sub, expected, why);
select is(pg_temp.outcome('sealcast_user', :owner, 'select sealcast.add_blocked_term(null, ''darn'')'), 'PT403 role_required', 'an owner may not block a term everywhere');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.add_blocked_term(%L, ''darn'')', :nowhere)), 'PT404 stream_not_found', 'the stream must exist');
select is(pg_temp.outcome('sealcast_service', null, format('select sealcast.add_blocked_term(%L, ''darn'')', :room)), '42501', 'sealcast_service may not block a term');
select is(count(*), 1::bigint, 'the same term is stored once') from sealcast.blocked_terms;
select is((created_by, action, whole_word), (:owner::uuid, 'refuse'::text, true), 'a term has its author and the defaults') from sealcast.blocked_terms;
select is(pg_temp.outcome('sealcast_user', sub, format('select * from sealcast.blocked_terms_of(%L)', :room)), expected, 'read: ' || sub)
from (values (:moderator, 'ok'), (:vip, 'PT403 role_required'), (:guest, 'PT403 role_required')) v (sub, expected);
select is(pg_temp.outcome('sealcast_user', :owner, 'select * from sealcast.blocked_terms_of(null)'), 'PT403 role_required', 'an owner may not read the terms of all streams');
select is(pg_temp.outcome('sealcast_user', :owner, 'select * from sealcast.blocked_terms'), '42501', 'users cannot read the table');
select is(pg_temp.outcome('sealcast_admin', null, 'insert into sealcast.blocked_terms (term) values (''x'')'), '42501', 'an admin writes terms by the functions only');
select is((select result from pg_temp.try('sealcast_user', :guest, format('select sealcast.remove_blocked_term(%L)', term_id))), 'false', 'a guest cannot remove a term, nor learn that it exists')
from sealcast.blocked_terms;
select is((select result from pg_temp.try('sealcast_user', null, format('select sealcast.remove_blocked_term(%L)', gen_random_uuid()))), null, 'no session cannot remove a term');

-- A term refuses messages, in all forms that look like it.
select is(pg_temp.say(:room, :guest, content), expected, format('%L: %s', content, expected))
from (values ('darn', 'content_refused'), ('oh DARN it', 'content_refused'), ('(darn)', 'content_refused'), ('dárn', 'content_refused'),
             (E'd\u200ba\u00adr\u2060n', 'content_refused'), (E'd\u0336a\u0336r\u0336n\u0336', 'content_refused'),
             (E'd\u0430rn', 'content_refused'), (E'\uff44\uff41\uff52\uff4e', 'content_refused'), (E'\U0001d41d\U0001d41a\U0001d42b\U0001d427', 'content_refused'),
             ('darning', 'darning'), ('d a r n', 'd a r n'), ('dam', 'dam')) v (content, expected);
select is(pg_temp.say(:cave, :vip, 'darn'), 'darn', 'a term of one stream does not apply in another one');
select is(pg_temp.say(:room, sender, 'darn'), 'darn', 'the terms of a stream do not apply to its ' || who)
from (values (:owner::uuid, 'owners'), (:moderator, 'moderators')) v (sender, who);
select is(pg_temp.say(:room, :vip, 'darn'), 'content_refused', 'they apply to every other role');
select is(pg_temp.admit(:room, 'chat', :guest, '{"a":[{"b":"darn"}]}'), '422 content_refused', 'strings at every depth are searched');
select is(pg_temp.admit(:room, 'chat', :guest, '{"darn":1}'), '200', 'keys are not');
insert into sealcast.stream_roles (stream_id, user_id, role) values (:room, :guest, 'darn');
select is(pg_temp.admit(:room, 'chat', :guest, '{"user_role":"x"}'), '200', 'the member that the server sets is not');
delete from sealcast.stream_roles r where r.role = 'darn';

-- The refusal says nothing of the term.
select is((code, message, details, hint), ('content_refused'::text, 'this message contains something that is not allowed here'::text, null::text, 'Change the message.'::text),
          'the sender does not learn the term')
from sealcast.admit(array[:room::uuid], '{chat}', array[:guest::uuid], array[gen_random_uuid()], '{"{\"content\":\"darn\"}"}');
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.send_message(%L, ''chat'', ''{"content":"darn"}'', gen_random_uuid())', :room)),
          'PT422 content_refused', 'the same from SQL');

-- A term that comes after a message does not change the answer to a repeat.
\set txn '''c0000000-0000-4000-8000-000000000001'''
select is(pg_temp.say(:room, :guest, 'heck', :txn), 'heck', 'a message is admitted');
select is(pg_temp.block(:room, 'heck'), 'ok', 'its word is blocked afterwards');
select is(pg_temp.admit(:room, 'chat', :guest, '{"content":"heck"}', :txn), '200 replayed', 'a repeat still returns the original');

-- Masks.
select is(pg_temp.block(:room, 'frak', 'literal', 'mask'), 'ok', 'a term masks');
select is(pg_temp.block(:room, 'blast*', 'wildcard', 'mask'), 'ok', 'a wildcard masks');
select is(pg_temp.block(:room, 'gosh', 'literal', 'mask', false), 'ok', 'a part of a word masks');
select is(pg_temp.block(:room, E'\\d{3}-\\d{4}', 'pattern', 'mask'), 'ok', 'a pattern masks');
select is(pg_temp.say(:room, :guest, content), expected, format('%L is masked', content))
from (values ('oh frak!', 'oh ****!'), ('FRAK, frak', '****, ****'), (E'fra\u0301k', '****'), (E'\uff46rak \U0001f600', E'**** \U0001f600'),
             ('blasted blaster "blast"', '******* ******* "*****"'), ('egoshes', 'e****es'), ('call 555-1234 now', 'call ******** now'),
             (E'\\frak"\t', E'\\****"\t'), ('frakking', 'frakking')) v (content, expected);
select is(pg_temp.admit(:room, 'chat', :guest, '{"content":"oh frak"}', 'c0000000-0000-4000-8000-000000000002'), '200', 'a masked message is admitted');
select is(pg_temp.admit(:room, 'chat', :guest, '{"content":"oh frak"}', 'c0000000-0000-4000-8000-000000000002'), '200 replayed', 'and its repeat is compared as sent');
select is(pg_temp.admit(:room, 'chat', :guest, '{"content":"oh ****"}', 'c0000000-0000-4000-8000-000000000002'), '409 txn_id_reused', 'not as masked');
select is(array(select distinct sealcast.verify_detail(sealcast.envelope(m)::json) from sealcast.messages m), '{ok}', 'what is sealed verifies');
select is(count(*), 0::bigint, 'no masked word is stored') from sealcast.messages where d ~* 'frak[^k]' or d ~* 'frak$';

-- Flags.
select is(pg_temp.block(:room, 'casino', 'literal', 'flag', false), 'ok', 'a term flags');
select is(pg_temp.admit(:room, 'chat', :guest, '{"content":"my casinos"}', 'c0000000-0000-4000-8000-000000000003'), '200', 'a flagged message is admitted');
select is(pg_temp.admit(:room, 'chat', :guest, '{"content":"my casinos"}', 'c0000000-0000-4000-8000-000000000003'), '200 replayed', 'its repeat, too');
select is((count(*), min(sender_id::text), min(t), min(b.term)), (1::bigint, :guest::text, 'chat'::text, 'casino'::text), 'it is recorded once, with its sender and the term')
from sealcast.term_hits h join sealcast.blocked_terms b using (term_id) where h.txn_id = 'c0000000-0000-4000-8000-000000000003' and h.action = 'flag';
select cmp_ok(count(*), '>', 5::bigint, 'refusals of admit() are recorded') from sealcast.term_hits where action = 'refuse';
select is(pg_temp.outcome('sealcast_user', sub, format('select * from sealcast.term_hits_of(%L)', :room)), expected, 'hits: ' || sub)
from (values (:moderator, 'ok'), (:guest, 'PT403 role_required')) v (sub, expected);
select is((select result from pg_temp.try('sealcast_user', :moderator, format('select count(*) from sealcast.term_hits_of(%L, null, 3)', :room))), '3', 'a page has at most limit rows');
select is((select result from pg_temp.try('sealcast_user', :moderator, format('select count(*) from sealcast.term_hits_of(%L, ''2001-01-01'')', :room))), '0', 'before leaves out newer ones');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select * from sealcast.term_hits_of(%L, null, 1001)', :room)), 'PT400 invalid_request', 'limit has a maximum');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select * from sealcast.term_hits_of(%L, before_hit => %L)', :room, :nowhere)), 'PT400 invalid_request', 'before_hit needs before');

-- Pages of hits that have the same time: a batch, or a chatty stream.
insert into sealcast.term_hits (at, stream_id, sender_id, txn_id, t, term_id, action)
select '2001-02-03 04:05:06.789012+00', stream, :guest, gen_random_uuid(), 'chat', gen_random_uuid(), 'flag'
from unnest(array[:attic, :cave]::uuid[]) stream cross join generate_series(1, 7);
create function pg_temp.pages(stream_id uuid, size integer) returns setof sealcast.term_hits language plpgsql as $$
declare
  hit sealcast.term_hits;
  seen integer;
begin
  hit.at := '2001-02-04';
  loop
    seen := 0;
    for hit in select * from sealcast.term_hits_of(stream_id, hit.at, size, hit.hit_id) loop
      seen := seen + 1;
      return next hit;
    end loop;
    exit when seen < size;
  end loop;
end $$;
grant execute on function pg_temp.pages(uuid, integer) to sealcast_admin;
select is((select result from pg_temp.try('sealcast_admin', null, format('select (count(*), count(distinct hit_id)) from pg_temp.pages(%L, 3)', stream))), expected, 'no hit is lost between pages: ' || expected)
from (values (:attic::uuid, '(7,7)'), (null, '(14,14)')) v (stream, expected);
set local enable_seqscan = off;
set local enable_sort = off;
select ok(pg_temp.plan_of(query) !~ 'Sort' and pg_temp.plan_of(query) ~ ('Index Cond: .*ROW\(at, hit_id\) <'), 'an index has the order of the pages: ' || query)
from (values ('select * from sealcast.term_hits h where stream_id = ''a0000000-0000-4000-8000-000000000001'' and (h.at, h.hit_id) < (now(), ''a0000000-0000-4000-8000-000000000001'') order by at desc, hit_id desc limit 100'),
             ('select * from sealcast.term_hits h where (h.at, h.hit_id) < (now(), ''a0000000-0000-4000-8000-000000000001'') order by at desc, hit_id desc limit 100')) v (query);
reset enable_seqscan;
reset enable_sort;
select is(pg_temp.outcome('sealcast_user', :owner, 'select * from sealcast.term_hits_of(null)'), 'PT403 role_required', 'only an admin reads the hits of all streams');

-- Terms in all streams.
select is(pg_temp.block(null, 'zounds'), 'ok', 'an admin blocks a term everywhere');
select is(pg_temp.say(stream_id, sender, 'zounds'), 'content_refused', 'it applies to ' || who)
from (values (:room::uuid, :guest::uuid, 'guests'), (:room, :owner, 'owners'), (:cave, :vip, 'every stream')) v (stream_id, sender, who);
select is(count(*), 1::bigint, 'a stream does not list it') from sealcast.blocked_terms where stream_id is null;

-- Wildcards inside, and patterns.
select is(pg_temp.block(:cave, 'f*k', 'wildcard'), 'ok', 'a wildcard with * inside');
select is(pg_temp.block(:cave, '?op', 'wildcard'), 'ok', 'a wildcard with ? at an end');
select is(pg_temp.block(:cave, E'\\bx{3,}\\b', 'pattern'), 'ok', 'a pattern');
select is(pg_temp.say(:cave, :vip, content), expected, format('%L: %s', content, expected))
from (values ('f--k', 'content_refused'), ('fork', 'content_refused'), ('FORK', 'content_refused'), ('forks', 'forks'), ('f or k', 'f or k'),
             ('pop', 'content_refused'), ('op', 'op'), ('popp', 'popp'), ('xxxx', 'content_refused'), (E'\u0445\u0445\u0445', 'content_refused'), ('xx', 'xx'), ('axxxx', 'axxxx')) v (content, expected);

-- Refused terms.
select is(pg_temp.block(:room, term, kind, action, whole_word), expected, 'refused: ' || expected)
from (values (E'a(b', 'pattern', 'refuse', null::boolean, 'PT400 invalid_request: at byte 0: missing ): a(b'), ('a*', 'pattern', 'refuse', null, 'PT400 invalid_request: it matches the empty text'),
             (E'(?P<x>a)\\2', 'pattern', 'refuse', null, 'PT400 invalid_request: at byte 8: invalid escape sequence: \2'),
             ('a{1000}{10}', 'pattern', 'refuse', null, 'PT400 invalid_request: at byte 1: bad repetition operator: {1000}{10}'),
             (E'\u200b', 'literal', 'refuse', null, 'PT400 invalid_request: nothing of it is left after folding'),
             ('**', 'wildcard', 'refuse', null, 'PT400 invalid_request: nothing of it is left after folding'), ('*?*', 'wildcard', 'refuse', null, 'PT400 invalid_request: it has nothing but * and ?'),
             (repeat(E'\ufdfa', 60), 'literal', 'refuse', null, 'PT400 invalid_request: it has 2162 bytes after folding, but at most 572 are allowed'),
             (repeat('x', 201), 'literal', 'refuse', null, 'PT400 invalid_request: it has 201 bytes, but at most 200 are allowed'),
             ('x', 'pattern', 'refuse', true, 'PT400 invalid_request'), ('x', 'regex', 'refuse', null, 'PT400 invalid_request: regex'), ('x', 'literal', 'drop', null, 'PT400 invalid_request: drop'),
             ('', 'literal', 'refuse', null, 'PT400 invalid_request'), (null, 'literal', 'refuse', null, 'PT400 invalid_request')) v (term, kind, action, whole_word, expected);
select is(pg_temp.block(:attic, format('(a|b|c){50}%s.{100}', n), 'pattern'), 'ok', 'a large pattern') from generate_series(1, 4) n;
select matches(pg_temp.block(:attic, format('%s(a|b|c){50}.{900}', 5), 'pattern'), 'instructions, but only', 'all patterns of a stream have a budget');

-- Removing.
select is((select result from pg_temp.try('sealcast_user', :moderator, format('select sealcast.remove_blocked_term(%L)', term_id))), 'true', 'a moderator removes a term')
from sealcast.blocked_terms where term = 'darn';
select is(pg_temp.say(:room, :guest, 'darn'), 'darn', 'it applies no more');
select is((select result from pg_temp.try('sealcast_user', :owner, format('select sealcast.remove_blocked_term(%L)', term_id))), null, 'an owner cannot remove a term of all streams')
from sealcast.blocked_terms where term = 'zounds';
select is(pg_temp.block(:room, 'heck', 'literal', 'flag'), 'ok', 'adding a term again sets its action');
select is(pg_temp.say(:room, :guest, 'heck'), 'heck', 'so the message is admitted');

-- A change that is rolled back counts no more.
savepoint before;
select is(pg_temp.block(:room, 'drat'), 'ok', 'a term is added');
select is(pg_temp.say(:room, :guest, 'drat'), 'content_refused', 'and applies within its transaction');
rollback to before;
select is(pg_temp.say(:room, :guest, 'drat'), 'drat', 'a term that was rolled back does not apply');

-- Limits and retention.
insert into sealcast.blocked_terms (stream_id, term) select :attic, 'term ' || n from generate_series(1, 9996) n;
select is(pg_temp.block(:attic, 'one more'), 'PT400 invalid_request', 'a stream has at most 10,000 terms');
delete from sealcast.blocked_terms where stream_id = :attic;
insert into sealcast.blocked_terms (stream_id, term) select :attic, lpad(n::text, 200, 'x') from generate_series(1, 1310) n;
select is(pg_temp.block(:attic, repeat('y', 145)), 'PT400 invalid_request: the terms have 262000 bytes, this one 145', 'the terms of a stream have at most 256 KiB');
select is(pg_temp.block(:attic, repeat('y', 144)), 'ok', 'and not less');
update sealcast.term_hits set at = now() - interval '31 days';
select is((select object from pg_temp.maintain() where object like '%term_hits'), (select format('%s rows of sealcast.term_hits', count(*)) from sealcast.term_hits),
          'maintain() trims the hits beyond retention') from (select count(*) from sealcast.term_hits) c;
select is(count(*), 0::bigint, 'they are gone') from sealcast.term_hits;
delete from sealcast.streams where stream_id = :cave;
select is(count(*), 0::bigint, 'the terms of a deleted stream go with it') from sealcast.blocked_terms where stream_id = :cave;

select * from finish();
rollback;
