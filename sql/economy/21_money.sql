-- Money that comes in and goes out, by sealcast_admin: each reference once.

-- The transfer, or that of the same request before; refused when the reference was used for something else.
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
    perform sealcast.refuse(400, 'invalid_request', 'user_id is null or nil', null, 'Name a user.');
  elsif (account in ('wallet', 'earnings')) is not true then
    perform sealcast.refuse(400, 'invalid_request', format('account is %s', coalesce(account::text, 'null')), null,
                            'Use wallet or earnings.');
  elsif (amount between 1 and 9007199254740991) is not true then
    perform sealcast.refuse(400, 'invalid_request', format('amount is %s', coalesce(amount::text, 'null')), null,
                            'Use whole minor units, 1 to 9007199254740991.');
  elsif not exists (select from sealcast_economy.currencies c where c.currency = move_money.currency) then
    perform sealcast.refuse(400, 'invalid_request', format('there is no currency %L', left(currency, 64)), null,
                            'Use one of sealcast_economy.currencies.');
  elsif (length(reference) between 1 and 200) is not true then
    perform sealcast.refuse(400, 'invalid_request', 'reference is null, empty or too long', null,
                            'Use 1 to 200 characters, the same for a retry of the same request.');
  end if;
  made := sealcast_economy.post(transfer_kind, currency, reference => reference, postings => array[
    (account, user_id, change)::sealcast_economy.posting, ('outside', nobody, -change)::sealcast_economy.posting]);
  if made is null then
    select x.transfer_id into made from sealcast_economy.transfers x
    join sealcast_economy.entries e on e.transfer_id = x.transfer_id and e.kind = account and e.owner_id = user_id
      and e.currency = move_money.currency and e.amount = change
    where x.kind = transfer_kind and x.reference = move_money.reference;
    if not found then
      perform sealcast.refuse(409, 'reference_reused', format('reference %L was used for another %s', reference, transfer_kind),
                              null, 'Use a new reference for each request.');
    end if;
  elsif change < 0 and sealcast_economy.locked_balance(account, user_id, currency) < 0 then
    perform sealcast.refuse(402, 'insufficient_funds', format('the user has less than %s in %s', amount, account), currency,
                            'Withdraw less.');
  end if;
  return made;
end $$;

create function sealcast_economy.deposit(user_id uuid, amount bigint, currency text, reference text) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
  return sealcast_economy.move_money('deposit', 'wallet', user_id, amount, currency, reference);
comment on function sealcast_economy.deposit(uuid, bigint, text, text) is
  'Adds minor units to the user''s wallet; returns the transfer''s id. A repeat of a reference changes nothing';

create function sealcast_economy.withdraw(user_id uuid, amount bigint, currency text, reference text,
                                          account sealcast_economy.account_kind default 'earnings')
  returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
  return sealcast_economy.move_money('withdrawal', account, user_id, amount, currency, reference);
comment on function sealcast_economy.withdraw(uuid, bigint, text, text, sealcast_economy.account_kind) is
  'Pays out of the user''s earnings or wallet; returns the transfer''s id. A repeat of a reference changes nothing';
