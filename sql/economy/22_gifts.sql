-- Gifts: messages with money. Admission takes a hold on the sender's wallet, and the handler captures the hold.

create table sealcast_economy.holds (
  sender_id uuid not null,
  txn_id uuid not null,
  stream_id uuid not null,
  recipient_id uuid not null,
  currency text not null,
  amount bigint not null check (amount > 0),
  platform_amount bigint not null check (platform_amount between 0 and amount),
  held_at timestamptz not null default clock_timestamp(),
  -- The message with which the hold was admitted; null: none.
  ts bigint,
  message_id bigint,
  primary key (sender_id, txn_id)
);
comment on table sealcast_economy.holds is 'Gifts that are paid for and not captured yet';

create function sealcast_economy.platform_part(amount bigint, basis_points integer) returns bigint
  language sql immutable parallel safe
  -- amount * basis_points would overflow for the largest amounts.
  return amount / 10000 * basis_points + amount % 10000 * basis_points / 10000;

-- Returns who gets the gifts that name no recipient: the payee of the stream, else its only owner. Null: nobody.
create function sealcast_economy.payee_of(stream_id uuid) returns uuid
  language sql stable set search_path = pg_catalog, pg_temp
  return (select coalesce(s.payee_id, (select case count(*) when 1 then min(r.user_id::text)::uuid end
                                       from sealcast.stream_roles r
                                       where r.stream_id = s.stream_id and r.role = 'owner'))
          from sealcast.streams s where s.stream_id = payee_of.stream_id);

-- Returns the terms of the gift that `d` asks for, or the problem of `d`.
create function sealcast_economy.read_gift(stream_id uuid, sender_id uuid, d json, out currency text, out amount bigint,
                                           out recipient_id uuid, out platform_amount bigint, out problem text, out hint text)
  returns record
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  stray constant text := (select key from json_object_keys(d) key
                          where key <> all ('{amount,currency,to,user_role}') order by key limit 1);
  terms sealcast_economy.currencies;
begin
  if stray is not null then
    problem := 'd has an unknown member';
    hint := format('Send amount, and optionally currency and to, without %L.', left(stray, 64));
    return;
  end if;

  if d -> 'currency' is null then
    select * into terms from sealcast_economy.currencies c where c.by_default;
  else
    select * into terms from sealcast_economy.currencies c
    where json_typeof(d -> 'currency') = 'string' and c.currency = d ->> 'currency';
  end if;
  if terms.currency is null then
    problem := case when d -> 'currency' is null then 'currency is missing' else 'currency is unknown' end;
    hint := 'Send a currency in which gifts are paid.';
    return;
  end if;
  currency := terms.currency;

  if json_typeof(d -> 'amount') = 'number' and d ->> 'amount' ~ '^[1-9][0-9]{0,15}$' then
    amount := d ->> 'amount';
  end if;
  if (amount between terms.smallest_gift and terms.largest_gift) is not true then
    problem := case when d -> 'amount' is null then 'amount is missing' else 'amount is invalid' end;
    hint := format('Send a whole number of minor units of %s, %s to %s.', currency, terms.smallest_gift, terms.largest_gift);
    return;
  end if;

  if d -> 'to' is null then
    recipient_id := sealcast_economy.payee_of(stream_id);
    if recipient_id is null then
      problem := format('to is missing, and the stream has %s', case
        when exists (select from sealcast.stream_roles r where r.stream_id = read_gift.stream_id and r.role = 'owner')
        then 'several owners and no payee' else 'no owner' end);
      hint := 'Send the user id of the recipient as to.';
      return;
    end if;
  elsif json_typeof(d -> 'to') = 'string'
        and d ->> 'to' ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then
    recipient_id := d ->> 'to';
  end if;
  if (sealcast_economy.is_users(recipient_id) and recipient_id <> sender_id) is not true then
    problem := case when recipient_id = sender_id then 'the recipient is the sender' else 'to is not a user id' end;
    hint := 'Send the UUID of another user as to.';
    return;
  end if;
  platform_amount := sealcast_economy.platform_part(amount, terms.platform_basis_points);
end $$;

create function sealcast_economy.gift_hook(stream_id uuid, sender_id uuid, t text, txn_id uuid, d json)
  returns sealcast.refusal
  language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  gift record;
begin
  gift := sealcast_economy.read_gift(stream_id, sender_id, d);
  if gift.problem is not null then
    return (400, 'invalid_request', gift.problem, gift.hint)::sealcast.refusal;
  -- sealcast.txn_keys drops a key after some days; the ledger keeps it.
  elsif exists (select from sealcast_economy.transfers x
                where x.sender_id = gift_hook.sender_id and x.txn_id = gift_hook.txn_id) then
    return (409, 'txn_id_reused', 'this txn_id was used for another gift',
            'Choose a new UUID for each message.')::sealcast.refusal;
  elsif sealcast_economy.locked_balance('wallet', sender_id, gift.currency) < gift.amount then
    return (402, 'insufficient_funds', format('the wallet has less than %s minor units of %s', gift.amount, gift.currency),
            'Add funds, then send the gift again with the same txn_id.')::sealcast.refusal;
  end if;
  insert into sealcast_economy.holds (sender_id, txn_id, stream_id, recipient_id, currency, amount, platform_amount,
                                      ts, message_id)
    select asked.sender_id, asked.txn_id, gift_hook.stream_id, gift.recipient_id, gift.currency, gift.amount,
           gift.platform_amount, k.ts, k.message_id
    from (values (gift_hook.sender_id, gift_hook.txn_id)) asked (sender_id, txn_id)
    left join sealcast.txn_keys k using (sender_id, txn_id);
  perform sealcast_economy.post('hold', gift.currency, sender_id => sender_id, txn_id => txn_id, postings => array[
    ('wallet', sender_id, -gift.amount)::sealcast_economy.posting,
    ('hold', sender_id, gift.amount)::sealcast_economy.posting]);
  return null;
end $$;
comment on function sealcast_economy.gift_hook(uuid, uuid, text, uuid, json) is
  'Admit hook: takes a hold on the sender''s wallet, or refuses the gift (402 when the wallet has too little)';

-- The name of the hook, as message_types.admit_hook has it.
create function sealcast_economy.hook_name() returns text
  language sql immutable parallel safe
  return 'sealcast_economy.gift_hook(uuid,uuid,text,uuid,json)';

create function sealcast_economy.gift_on_event(event sealcast.event) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  held sealcast_economy.holds;
begin
  delete from sealcast_economy.holds h where h.sender_id = event.sender_id and h.txn_id = event.txn_id
  returning * into held;
  if found then
    perform sealcast_economy.post('capture', held.currency, sender_id => held.sender_id, txn_id => held.txn_id, postings => array[
      ('hold', held.sender_id, -held.amount)::sealcast_economy.posting,
      ('earnings', held.recipient_id, held.amount - held.platform_amount)::sealcast_economy.posting,
      ('platform', '00000000-0000-0000-0000-000000000000', held.platform_amount)::sealcast_economy.posting]);
  elsif not exists (select from sealcast_economy.transfers x
                    where x.sender_id = event.sender_id and x.txn_id = event.txn_id and x.kind = 'capture') then
    raise exception 'gift % of sender % has no hold', event.txn_id, event.sender_id
      using errcode = 'no_data_found',
            hint = format('Check admit_hook of message type %s: the gift was admitted without sealcast_economy.gift_hook.', event.t);
  end if;
end $$;
comment on function sealcast_economy.gift_on_event(sealcast.event) is
  'Handler: captures the hold of a gift, for the recipient and the platform. A repeat changes nothing';

-- A hold and its message are committed together. So a hold has no message only when something other than admission
-- called the hook. A missing txn_key proves nothing, because keys are trimmed: hence holds.message_id.
create function sealcast_economy.release_expired_holds(before timestamptz, max_rows integer default 1000) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  held sealcast_economy.holds;
  released bigint := 0;
begin
  for held in
    delete from sealcast_economy.holds h
    where (h.sender_id, h.txn_id) in (
      select e.sender_id, e.txn_id from sealcast_economy.holds e
      where e.held_at < before and e.message_id is null
        and not exists (select from sealcast.txn_keys k where k.sender_id = e.sender_id and k.txn_id = e.txn_id)
      order by e.held_at limit max_rows for update skip locked)
    returning *
  loop
    perform sealcast_economy.post('release', held.currency, sender_id => held.sender_id, txn_id => held.txn_id, postings => array[
      ('hold', held.sender_id, -held.amount)::sealcast_economy.posting,
      ('wallet', held.sender_id, held.amount)::sealcast_economy.posting]);
    released := released + 1;
  end loop;
  return released;
end $$;
comment on function sealcast_economy.release_expired_holds(timestamptz, integer) is
  'Releases holds that were taken before a time and have no committed message, at most max_rows. Returns how many';
