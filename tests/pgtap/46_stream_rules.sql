-- Tests the rules of streams: who may set them, which values are valid, and what admission refuses by them.
begin;
\ir scene.psql
select no_plan();

create function pg_temp.set_rules(rules text, stream_id uuid default 'a0000000-0000-4000-8000-000000000001') returns text
  language sql as $$
  select pg_temp.outcome('sealcast_user', 'b0000000-0000-4000-8000-000000000001', format('select sealcast.set_stream_rules(%L, %L)', stream_id, rules))
$$;

-- Values
select is(pg_temp.set_rules(rules), expected, why) from (values
  ('{"slow_mode_s":1}', 'ok', 'a slow mode of 1 s is accepted'),
  ('{"slow_mode_s":600}', 'ok', 'a slow mode of 600 s is accepted'),
  ('{"slow_mode_s":30.0}', 'ok', 'a whole number may have a fraction of 0'),
  ('{"slow_mode_s":null}', 'ok', 'null ends the slow mode'),
  ('{"slow_mode_s":0}', 'PT400 invalid_request', 'a slow mode of 0 s is refused'),
  ('{"slow_mode_s":601}', 'PT400 invalid_request', 'a slow mode of 601 s is refused'),
  ('{"slow_mode_s":1.5}', 'PT400 invalid_request', 'a slow mode of half seconds is refused'),
  ('{"slow_mode_s":1e999}', 'PT400 invalid_request', 'a slow mode of 1e999 s is refused'),
  ('{"slow_mode_s":"30"}', 'PT400 invalid_request', 'a slow mode that is a string is refused'),
  ('{"slow_mode_s":[30]}', 'PT400 invalid_request', 'a slow mode that is an array is refused'),
  ('{"slow_mode_s":true}', 'PT400 invalid_request', 'a slow mode that is true is refused'),
  ('{"senders":"everyone"}', 'ok', 'everyone is accepted'),
  ('{"senders":"members"}', 'ok', 'members is accepted'),
  ('{"senders":["vip","subscriber"]}', 'ok', 'a list of roles is accepted'),
  ('{"senders":null}', 'ok', 'null means everyone'),
  ('{"senders":"vip"}', 'PT400 invalid_request', 'another word is refused'),
  ('{"senders":[]}', 'PT400 invalid_request', 'an empty list of roles is refused'),
  ('{"senders":["vip","vip"]}', 'PT400 invalid_request', 'a role that is listed twice is refused'),
  ('{"senders":["VIP"]}', 'PT400 invalid_request', 'a name that no role can have is refused'),
  ('{"senders":[7]}', 'PT400 invalid_request', 'a role that is a number is refused'),
  ('{"senders":[null]}', 'PT400 invalid_request', 'a role that is null is refused'),
  ('{"senders":{"vip":1}}', 'PT400 invalid_request', 'senders that are an object are refused'),
  ('{"hold_first":true}', 'ok', 'the first messages of users may be held'),
  ('{"hold_first":false}', 'ok', 'false ends that'),
  ('{"hold_first":null}', 'ok', 'null ends it, too'),
  ('{"hold_first":1}', 'PT400 invalid_request', 'a hold_first that is a number is refused'),
  ('{"types":["chat","reaction"]}', 'ok', 'a list of types is accepted'),
  ('{"types":null}', 'ok', 'null allows all types'),
  ('{"types":[]}', 'PT400 invalid_request', 'an empty list of types is refused'),
  ('{"types":["no_such_type"]}', 'PT400 invalid_request', 'a type that does not exist is refused'),
  ('{"types":["transport_migrate"]}', 'PT400 invalid_request', 'a type of the system is refused'),
  ('{"types":"chat"}', 'PT400 invalid_request', 'types that are a string are refused'),
  ('{"max_chars":1}', 'ok', 'a limit of 1 character is accepted'),
  ('{"max_chars":10000}', 'ok', 'a limit of 10,000 characters is accepted'),
  ('{"max_chars":null}', 'ok', 'null ends the limit'),
  ('{"max_chars":0}', 'PT400 invalid_request', 'a limit of 0 characters is refused'),
  ('{"max_chars":10001}', 'PT400 invalid_request', 'a limit of 10,001 characters is refused'),
  ('{"max_chars":1.5}', 'PT400 invalid_request', 'a limit of half characters is refused'),
  ('{"max_chars":"9"}', 'PT400 invalid_request', 'a limit that is a string is refused'),
  ('{"links":"none"}', 'ok', 'no links is accepted'),
  ('{"links":["vip"]}', 'ok', 'links of a role are accepted'),
  ('{"links":"everyone"}', 'ok', 'links of everyone are accepted'),
  ('{"links":null}', 'ok', 'null means links of everyone'),
  ('{"links":"vip"}', 'PT400 invalid_request', 'another word for links is refused'),
  ('{"links":[]}', 'PT400 invalid_request', 'an empty list of roles for links is refused'),
  ('{"links":["VIP"]}', 'PT400 invalid_request', 'a name for links that no role can have is refused'),
  ('{"links":true}', 'PT400 invalid_request', 'links that are true are refused'),
  ('{"emote_only":true}', 'ok', 'only emotes is accepted'),
  ('{"emote_only":false}', 'ok', 'false ends the rule'),
  ('{"emote_only":null}', 'ok', 'null ends the rule'),
  ('{"emote_only":1}', 'PT400 invalid_request', 'emote_only that is a number is refused'),
  ('{"unique_s":1}', 'ok', 'unique_s of 1 s is accepted'),
  ('{"unique_s":3600}', 'ok', 'unique_s of 3,600 s is accepted'),
  ('{"unique_s":3601}', 'PT400 invalid_request', 'unique_s of 3,601 s is refused'),
  ('{"unique_s":0}', 'PT400 invalid_request', 'unique_s of 0 s is refused'),
  ('{"unique_s":null}', 'ok', 'null ends unique_s'),
  ('{"raid_within_s":30}', 'PT400 invalid_request', 'raid_within_s without raid_copies is refused'),
  ('{"raid_copies":1000,"raid_within_s":3600}', 'ok', 'raid_copies of 1,000 users are accepted'),
  ('{"raid_within_s":1}', 'ok', 'raid_within_s beside earlier raid_copies is accepted'),
  ('{"raid_copies":1001}', 'PT400 invalid_request', 'raid_copies of 1,001 users are refused'),
  ('{"raid_within_s":3601}', 'PT400 invalid_request', 'raid_within_s of 3,601 s is refused'),
  ('{"raid_copies":0}', 'PT400 invalid_request', 'raid_copies of 0 users are refused'),
  ('{"raid_copies":null}', 'ok', 'null ends the rule about copies'),
  ('{"rate":{"chat":5,"reaction":1}}', 'ok', 'rates up to those of the types are accepted'),
  ('{"rate":{"chat":6}}', 'PT400 invalid_request', 'a rate above that of the type is refused'),
  ('{"rate":{"chat":0}}', 'PT400 invalid_request', 'a rate of 0 is refused'),
  ('{"rate":{"chat":1.5}}', 'PT400 invalid_request', 'a rate with a fraction is refused'),
  ('{"rate":{"chat":"1"}}', 'PT400 invalid_request', 'a rate that is a string is refused'),
  ('{"rate":{"chat":1,"no_such_type":1}}', 'PT400 invalid_request', 'a rate of a type that does not exist is refused'),
  ('{"rate":{"transport_migrate":1}}', 'PT400 invalid_request', 'a rate of a type of the system is refused'),
  ('{"rate":{}}', 'PT400 invalid_request', 'an empty object of rates is refused'),
  ('{"rate":2}', 'PT400 invalid_request', 'a rate without a type is refused'),
  ('{"rate":null}', 'ok', 'null ends the rates'),
  ('{"slow":1}', 'PT400 invalid_request', 'an unknown rule is refused'),
  ('{"slow_mode_s":1,"slow_mode_s":2}', 'PT400 invalid_request', 'a rule that is given twice is refused'),
  ('[]', 'PT400 invalid_request', 'an array is refused'),
  ('null', 'PT400 invalid_request', 'the JSON null is refused')) v (rules, expected, why);
select is(pg_temp.set_rules(null), 'PT400 invalid_request', 'null is refused');
select is(pg_temp.set_rules('{"senders":' || json_agg('r' || n) || '}'), 'PT400 invalid_request', '17 roles are refused') from generate_series(1, 17) n;
select is(pg_temp.set_rules('{"slow_mode_s":5}', null), 'PT400 invalid_request', 'a null stream is refused');
select is(pg_temp.set_rules('{"slow_mode_s":5}', :nowhere), 'PT404 stream_not_found', 'a stream that does not exist is refused');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.set_stream_rules(%L, %L)', :attic, '{"slow_mode_s":5}')),
          'PT403 stream_closed', 'a closed stream is refused');
select is((select count(*) from sealcast.stream_rules where stream_id = :attic), 0::bigint, 'a refused change leaves no rule');

-- The message, and reading the rules
select is(result::json ->> 't', 'stream_rules', 'set_stream_rules() returns the envelope of the system message')
from pg_temp.try('sealcast_user', :moderator, format('select sealcast.set_stream_rules(%L, %L)', :room, '{"slow_mode_s":30,"senders":["vip"]}'));
select is((select sender_id || ' ' || d from sealcast.messages where t = 'stream_rules' order by message_id desc limit 1),
          :system || ' {"emote_only":false,"hold_first":false,"links":"everyone","max_chars":null,"raid_copies":null,"raid_within_s":null,"rate":null,"senders":["vip"],"slow_mode_s":30,"types":null,"unique_s":null}', 'the message has all rules');
select is(pg_temp.set_rules('{"slow_mode_s":30}'), 'ok', 'a change to the same value is accepted');
select is((select count(*) from sealcast.messages where t = 'stream_rules' and d like '%"senders":["vip"],"slow_mode_s":30%'), 1::bigint, 'a change to the same value sends no message');
select is(result, '{"emote_only":false,"hold_first":false,"links":"everyone","max_chars":null,"raid_copies":null,"raid_within_s":null,"rate":null,"senders":["vip"],"slow_mode_s":30,"types":null,"unique_s":null}', 'a guest may read the rules of a public stream')
from pg_temp.try('sealcast_user', :guest, format('select sealcast.stream_rules_of(%L)', :room));
select is(result, '{"emote_only":false,"hold_first":false,"links":"everyone","max_chars":null,"raid_copies":null,"raid_within_s":null,"rate":null,"senders":"everyone","slow_mode_s":null,"types":null,"unique_s":null}', 'a stream without rules has all members')
from pg_temp.try('sealcast_user', :vip, format('select sealcast.stream_rules_of(%L)', :cave));
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.stream_rules_of(%L)', :cave)), 'PT403 role_required', 'a guest may not read the rules of a private stream');
select set_eq('select stream_id, slow_mode_s, unique_s, raid_copies from sealcast_internal.gate_rules()', format('values (%L::uuid, 30, null::integer, null::integer)', :room), 'gate_rules() returns the streams in slow mode');

update sealcast.streams set closed_at = now() where stream_id = :room;
select is_empty('select * from sealcast_internal.gate_rules()', 'gate_rules() leaves out closed streams');
update sealcast.streams set closed_at = null where stream_id = :room;

-- Admission
select is(pg_temp.admit(:room, t, sender, '{}'), expected, format('with senders ["vip"], %s of %s gives %s', t, who, expected)) from (values
  ('chat', :vip::uuid, 'the vip', '200'), ('chat', :guest, 'a guest', '403 role_required'), ('chat', :moderator, 'the moderator', '200'),
  ('chat', :owner, 'the owner', '200'), ('viewer_count_update', :system, 'the system', '200')) v (t, sender, who, expected);
select is(pg_temp.set_rules('{"senders":"members","types":["chat"]}'), 'ok', 'the rules change');
select is(pg_temp.admit(:room, t, sender, '{}'), expected, format('for members and chat, %s of %s gives %s', t, who, expected)) from (values
  ('chat', :vip::uuid, 'the vip', '200'), ('chat', :guest, 'a guest', '403 role_required'), ('reaction', :vip, 'the vip', '403 type_not_allowed'),
  ('reaction', :moderator, 'the moderator', '200')) v (t, sender, who, expected);
select is(pg_temp.admit(:cave, 'reaction', :vip, '{}'), '200', 'another stream has no rules');
select is(concat_ws('|', v.message, v.details), 'this stream takes no messages of type reaction now|chat', 'the refusal names the types that the stream takes')
from sealcast.admit(array[:room]::uuid[], array['reaction'], array[:vip]::uuid[], array[gen_random_uuid()], array['{}']) v;
-- A repeat is a repeat, whatever the rules are now.
select is(pg_temp.set_rules('{"senders":"everyone","types":null,"slow_mode_s":null}'), 'ok', 'all rules end');
select is((select count(*) from sealcast.stream_rules), 0::bigint, 'a stream without rules has no row');
\set kept '''c0000000-0000-4000-8000-000000000001'''
select is(pg_temp.admit(:room, 'chat', :guest, '{"a":1}', :kept), '200', 'a guest may send again');
select is(pg_temp.set_rules('{"senders":"members"}'), 'ok', 'only members may send');
select is(pg_temp.admit(:room, 'chat', :guest, '{"a":1}', :kept), '200 replayed', 'a repeat of an older message gets its envelope');

-- Text
select is(pg_temp.set_rules('{"senders":null,"max_chars":5,"links":["vip"]}'), 'ok', 'rules about text begin');
select is(pg_temp.admit(:room, 'chat', sender, payload), expected, format('with max_chars 5 and links ["vip"], %s of %s gives %s', payload, who, expected)) from (values
  (:guest::uuid, 'a guest', '{"content":"hello"}', '200'), (:guest, 'a guest', '{"content":"hello!"}', '422 text_too_long'),
  (:guest, 'a guest', '{"content":"hello","type":"chat","user_role":"x"}', '200'), (:guest, 'a guest', '{"a":"abc","b":["def"]}', '422 text_too_long'),
  (:guest, 'a guest', '{"content":"a.com"}', '422 links_not_allowed'), (:vip, 'the vip', '{"content":"a.com"}', '200'),
  (:vip, 'the vip', '{"content":"aa.com"}', '422 text_too_long'), (:moderator, 'the moderator', '{"content":"http://example.com"}', '200'),
  (:owner, 'the owner', '{"content":"http://example.com"}', '200')) v (sender, who, payload, expected);
select is(pg_temp.admit(:room, 'viewer_count_update', :system, '{"content":"http://example.com"}'), '200', 'the rules do not apply to the system');
select is(concat_ws('|', v.message, v.details, v.hint), 'you may not send links in this stream now|vip|Remove the link, or wait until the rule ends.', 'the refusal names the roles that may send links')
from sealcast.admit(array[:room]::uuid[], array['chat'], array[:guest]::uuid[], array[gen_random_uuid()], array['{"content":"a.com"}']) v;
select is(concat_ws('|', v.message, v.details, v.hint), 'this stream takes no text of more than 5 characters now|Shorten the text, or wait until the rule ends.', 'the refusal has the limit')
from sealcast.admit(array[:room]::uuid[], array['chat'], array[:guest]::uuid[], array[gen_random_uuid()], array['{"content":"123456"}']) v;
select is(pg_temp.set_rules('{"max_chars":null,"links":"none","emote_only":true}'), 'ok', 'the rules about text change');
update sealcast.message_types set tier = 1 where t = 'announcement';
update sealcast.message_types set required_roles = null where t = 'announcement';
select is(pg_temp.admit(:room, t, sender, payload), expected, format('with links none and emote_only, %s of %s gives %s', t, who, expected)) from (values
  ('chat', :guest::uuid, 'a guest', '{"content":"hello"}', '422 emotes_only'), ('chat', :guest, 'a guest', '{"content":":heart: \u2764"}', '200'),
  ('reaction', :vip, 'the vip', '{"content":"hello"}', '422 emotes_only'), ('chat', :vip, 'the vip', '{"content":"a.com"}', '422 links_not_allowed'),
  ('announcement', :guest, 'a guest', '{"content":"hello"}', '200'), ('announcement', :guest, 'a guest', '{"content":"a.com"}', '422 links_not_allowed'),
  ('chat', :moderator, 'the moderator', '{"content":"hello"}', '200')) v (t, sender, who, payload, expected);
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.send_message(%L, ''chat'', ''{"content":"hello"}'', gen_random_uuid())', :room)), 'PT422 emotes_only', 'the same from SQL');
select is((select count(*) from sealcast.term_hits), 0::bigint, 'a broken rule is no hit of a term');

-- What the gate reads
select is(pg_temp.set_rules('{"senders":null,"links":null,"emote_only":false,"unique_s":60,"raid_copies":5,"rate":{"chat":2}}'), 'ok', 'rules that the gate enforces begin');
select is(g::text, format('(%s,,60,5,30,"{""chat"": 2}")', :room), 'gate_rules() returns them; raid_within_s is 30 by default') from sealcast_internal.gate_rules() g;
select is(pg_temp.set_rules('{"raid_copies":null}'), 'ok', 'the rule about copies ends');
select is((select concat_ws('|', unique_s, raid_copies, raid_within_s) from sealcast_internal.gate_rules()), '60', 'raid_within_s ends with raid_copies');

-- The rules end with the stream.
delete from sealcast.streams where stream_id = :room;
select is((select count(*) from sealcast.stream_rules), 0::bigint, 'the rules of a deleted stream are gone');
select * from finish();
rollback;
