-- Gifts: what is asked for is checked, the money is held with the message and captured once, and holds without a message end.
begin;
\ir economy.psql
select plan(58);
\set txn '''c0000000-0000-4000-8000-000000000001'''
\set txn2 '''c0000000-0000-4000-8000-000000000002'''

select is((select (admit_hook::text, tier, tier0_amount) from sealcast.message_types where t = 'gift'),
          ('sealcast_economy.gift_hook(uuid,uuid,text,uuid,json)'::text, 1::smallint, 10000::bigint), 'gifts have a type, and are never sampled');
select sealcast_economy.deposit(:guest, 1000, 'USD', 'payment') \g /dev/null
select pg_temp.settle() \g /dev/null

-- A gift.
select is(pg_temp.admit(:room, 'gift', :guest, '{"amount":333}', :txn), '200', 'a funded gift is admitted');
select is(pg_temp.admit(:room, 'gift', :guest, '{"amount":333}', :txn), '200 replayed', 'a repeat gets the original');
select pg_temp.settle() \g /dev/null
select is(pg_temp.balances(), 'wallet 667, hold 333, outside -1000', 'and the money is held once');
select is((select (h.stream_id, h.recipient_id, h.currency, h.amount, h.platform_amount) from sealcast_economy.holds h),
          (:room::uuid, :creator::uuid, 'USD'::text, 333::bigint, 99::bigint), 'for the owner of the stream, less what the platform keeps');
select ok(exists (select from sealcast_economy.holds h join sealcast.messages m using (ts, message_id) where m.txn_id = :txn), 'the hold knows its message');
select is(pg_temp.audit() ~ format('gift: %s %s is 333 held, not 333 captured', :guest, :txn), true, 'the audit waits for it');
select sealcast_economy.gift_on_event(pg_temp.event(:txn)) \g /dev/null
select pg_temp.settle() \g /dev/null
select is(pg_temp.balances(), 'wallet 667, earnings 234, platform 99, outside -1000', 'captured: what cannot be split is the creator''s');
select sealcast_economy.gift_on_event(pg_temp.event(:txn)) \g /dev/null
select pg_temp.settle() \g /dev/null
select is(pg_temp.balances(), 'wallet 667, earnings 234, platform 99, outside -1000', 'again: nothing');
select is((select count(*) from sealcast_economy.holds), 0::bigint, 'no hold is left');
select is((select array_agg(kind order by transfer_id) from sealcast_economy.transfers where txn_id = :txn), '{hold,capture}', 'two transfers tell of it');
select is(pg_temp.audit() ~ 'gift:', false, 'the audit has no more to say of it');

-- Refused.
select is(pg_temp.admit(:room, 'gift', :guest, '{"amount":668}', :txn2), '402 insufficient_funds', 'more than there is');
select is(pg_temp.admit(:room, 'gift', :vip, '{"amount":1}'), '402 insufficient_funds', 'without a wallet');
select is(state || ' ' || detail || '|' || hint, 'PT402 insufficient_funds|Add funds, then send it again under the same txn_id.', 'the same from send_message()')
from pg_temp.try('sealcast_user', :guest, format('select sealcast.send_message(%L, ''gift'', ''{"amount":668}'', %L)', :room, :txn2));
select is((select count(*) from sealcast_economy.transfers where txn_id = :txn2), 0::bigint, 'a refusal leaves no transfer');
select is((select count(*) from sealcast_economy.holds), 0::bigint, 'and no hold');
select is((select array_agg(concat_ws(' ', v.status, v.code) order by item)
           from sealcast.admit(array_fill(:room::uuid, array[4]), '{gift,gift,chat,gift}', array_fill(:guest::uuid, array[4]),
             array[:txn2, 'c0000000-0000-4000-8000-000000000003', 'c0000000-0000-4000-8000-000000000004', 'c0000000-0000-4000-8000-000000000005']::uuid[],
             '{"{\"amount\":400}","{\"amount\":268}","{}","{\"amount\":267}"}') v),
          array['200', '402 insufficient_funds', '200', '200'], 'gifts of a batch share what there is');
select pg_temp.settle() \g /dev/null
select is(pg_temp.balances(), 'earnings 234, hold 667, platform 99, outside -1000', 'to the last unit');
select is((select count(*) from sealcast_economy.holds), 2::bigint, 'each admitted one has its hold');

-- An undone batch.
savepoint batch;
select sealcast_economy.deposit(:guest, 50, 'USD', 'more') \g /dev/null
select pg_temp.admit(:room, 'gift', :guest, '{"amount":50}', 'c0000000-0000-4000-8000-000000000006') \g /dev/null
rollback to batch;
select pg_temp.settle() \g /dev/null
select is((select count(*) from sealcast_economy.holds), 2::bigint, 'an undone batch leaves no hold');
select is(pg_temp.balances(), 'earnings 234, hold 667, platform 99, outside -1000', 'and moves nothing');

-- A key that was trimmed and comes again would be paid twice.
delete from sealcast.txn_keys where txn_id = :txn;
select sealcast_economy.deposit(:guest, 1000, 'USD', 'payment 2') \g /dev/null
select is(pg_temp.admit(:room, 'gift', :guest, '{"amount":333}', :txn), '409 txn_id_reused', 'the ledger remembers what txn_keys has forgotten');

-- What d says.
insert into sealcast_economy.currencies (currency, smallest_gift, largest_gift, platform_basis_points) values ('EUR', 10, 500, 0), ('JPY', 1, 9007199254740991, 10000);
select is(pg_temp.admit(:room, 'gift', :guest, d), '400 invalid_request', 'no gift: ' || d)
from unnest(array['{}', '{"amount":0}', '{"amount":-1}', '{"amount":1.5}', '{"amount":"5"}', '{"amount":null}', '{"amount":10000001}', '{"amount":1e21}',
  '{"amount":5,"currency":"usd"}', '{"amount":5,"currency":null}', '{"amount":5,"currency":["USD"]}', '{"amount":9,"currency":"EUR"}', '{"amount":501,"currency":"EUR"}',
  '{"amount":5,"to":"me"}', '{"amount":5,"to":null}', '{"amount":5,"to":"00000000-0000-0000-0000-000000000000"}', '{"amount":5,"to":"b0000000-0000-4000-8000-000000000004"}',
  '{"amount":5,"To":"b0000000-0000-4000-8000-000000000001"}', '{"amount":5,"note":"hi"}']) d;
select is(pg_temp.admit(:cave, 'gift', :owner, '{"amount":5}'), '400 invalid_request', 'a gift to oneself, as the owner');
delete from sealcast.stream_roles where role = 'owner' and stream_id = :room;
select is((select (message, hint)::text from sealcast.admit(array[:room::uuid], '{gift}', array[:guest::uuid], array[gen_random_uuid()], '{"{\"amount\":5}"}')),
          '("to is missing, and the stream has no owner","Send the user id of who is to have the gift.")', 'and says what to mend');
select is((select (message, hint)::text from sealcast.admit(array[:room::uuid], '{gift}', array[:guest::uuid], array[gen_random_uuid()], '{"{\"amount\":10000001}"}')),
          '("amount is 10000001","Send a whole number of minor units of USD, 1 to 10000000.")', 'in the sender''s terms');
select is((select count(*) from sealcast_economy.holds), 2::bigint, 'none of them is held');

-- Currencies and recipients of choice; the split at its ends.
select sealcast_economy.deposit(:guest, 500, 'EUR', 'euros') \g /dev/null
select sealcast_economy.deposit(:guest, 9007199254740991, 'JPY', 'yen') \g /dev/null
select is(pg_temp.admit(:room, 'gift', :guest, format('{"amount":500,"currency":"EUR","to":"%s"}', upper(:vip)), 'c0000000-0000-4000-8000-000000000007'), '200', 'to somebody, in euros');
select is(pg_temp.admit(:room, 'gift', :guest, format('{"amount":9007199254740991,"currency":"JPY","to":"%s"}', :vip), 'c0000000-0000-4000-8000-000000000008'), '200', 'all there is');
select sealcast_economy.gift_on_event(pg_temp.event(txn_id)) from sealcast_economy.holds \g /dev/null
select pg_temp.settle() \g /dev/null
select is(pg_temp.balance('earnings', :vip, 'EUR'), 500::bigint, 'where the platform keeps nothing, the creator has all');
select is(pg_temp.balance('platform', :system, 'JPY'), 9007199254740991, 'and the other way round');
select is(sealcast_economy.platform_part(9007199254740991, 9999), 9006298534815516, 'the largest amounts are split exactly');
select is(pg_temp.audit() ~ '(gift|balance|transfer):', false, 'the ledger is sound');

-- Without a hold there is nothing to capture.
select throws_ok(format('select sealcast_economy.gift_on_event((''gift'', %L, %L, %L, 0, 1, ''{"amount":1}'', null)::sealcast.event)', :room, :guest, gen_random_uuid()), 'P0002');

-- Holds end when no message was committed with them.
select sealcast_economy.gift_hook(:room, :guest, 'gift', 'c0000000-0000-4000-8000-000000000010', format('{"amount":100,"to":"%s"}', :vip)::json) \g /dev/null
select pg_temp.admit(:room, 'gift', :guest, format('{"amount":100,"to":"%s"}', :vip), 'c0000000-0000-4000-8000-000000000011') \g /dev/null
select is(sealcast_economy.release_expired_holds(now() - interval '1 hour'), 0::bigint, 'not before their time');
delete from sealcast.txn_keys where txn_id = 'c0000000-0000-4000-8000-000000000011';
select is(sealcast_economy.release_expired_holds(clock_timestamp()), 1::bigint, 'then those without a message are released');
select pg_temp.settle() \g /dev/null
select is((select array_agg(txn_id) from sealcast_economy.holds), '{c0000000-0000-4000-8000-000000000011}', 'never that of a committed gift, though its key was trimmed');
select is((pg_temp.balance('wallet', :guest), pg_temp.balance('hold', :guest)), (900::bigint, 100::bigint), 'the money is back');
select throws_ok(format('select sealcast_economy.gift_on_event((''gift'', %L, %L, ''c0000000-0000-4000-8000-000000000010'', 0, 1, ''{"amount":1}'', null)::sealcast.event)', :room, :guest),
                 'P0002', null, 'what was released is not captured');
select * from finish();
rollback;
