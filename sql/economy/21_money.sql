-- Deposits and withdrawals by sealcast_admin. Each reference moves money once.

-- Returns the id of the transfer, or the id of the earlier transfer of the same request. Refuses a reference that was
-- used for another request.
create function sealcast_economy.move_money(transfer_kind text, account sealcast_economy.account_kind, user_id uuid,
                                            amount bigint, currency text, reference text)
  returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  nobody constant uuid := '00000000-0000-0000-0000-000000000000';
  change constant bigint := case transfer_kind when 'deposit' then amount else -amount end;
  made bigint;
begin
  if coalesce(user_id, nobody) = nobody then
    perform sealcast_internal.refuse(400, 'invalid_request', 'user_id is null or nil', null, 'Pass the UUID of a user.');
  elsif (account in ('wallet', 'earnings')) is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', format('invalid account: %s', coalesce(account::text, 'null')), null,
                            'Use wallet or earnings.');
  elsif (amount between 1 and 9007199254740991) is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', format('invalid amount: %s', coalesce(amount::text, 'null')), null,
                            'Use a whole number of minor units, 1 to 9007199254740991.');
  elsif not exists (select from sealcast_economy.currencies c where c.currency = move_money.currency) then
    perform sealcast_internal.refuse(400, 'invalid_request', 'this currency does not exist', left(currency, 64),
                            'Use a currency of the table sealcast_economy.currencies.');
  elsif (length(reference) between 1 and 200) is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', 'reference must have 1 to 200 characters', null,
                            'Pass a reference of the request, and the same reference when you retry the request.');
  end if;
  made := sealcast_economy.post(transfer_kind, currency, reference => reference, postings => array[
    (account, user_id, change)::sealcast_economy.posting, ('outside', nobody, -change)::sealcast_economy.posting]);
  if made is null then
    select x.transfer_id into made from sealcast_economy.transfers x
    join sealcast_economy.entries e on e.transfer_id = x.transfer_id and e.kind = account and e.owner_id = user_id
      and e.currency = move_money.currency and e.amount = change
    where x.kind = transfer_kind and x.reference = move_money.reference;
    if not found then
      perform sealcast_internal.refuse(409, 'reference_reused', 'this reference was already used for another request',
                              reference, 'Use a new reference for each request.');
    end if;
  elsif change < 0 and sealcast_economy.locked_balance(account, user_id, currency) < 0 then
    perform sealcast_internal.refuse(402, 'insufficient_funds', format('the user has less than %s in %s', amount, account), currency,
                            'Withdraw a smaller amount.');
  end if;
  return made;
end $$;

create function sealcast_economy.deposit(user_id uuid, amount bigint, currency text, reference text) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
  return sealcast_economy.move_money('deposit', 'wallet', user_id, amount, currency, reference);
comment on function sealcast_economy.deposit(uuid, bigint, text, text) is
  'Adds minor units to the user''s wallet. Returns the id of the transfer. A repeated reference changes nothing';

create function sealcast_economy.withdraw(user_id uuid, amount bigint, currency text, reference text,
                                          account sealcast_economy.account_kind default 'earnings')
  returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
  return sealcast_economy.move_money('withdrawal', account, user_id, amount, currency, reference);
comment on function sealcast_economy.withdraw(uuid, bigint, text, text, sealcast_economy.account_kind) is
  'Pays minor units out of the user''s earnings or wallet. Returns the id of the transfer. A repeated reference changes nothing';
