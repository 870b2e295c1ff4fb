-- register(): adds the currency, rules and message type of the economy, and registers its handlers.

create function sealcast_economy.register(group_name text default 'default') returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  hook constant text := sealcast_economy.hook_name();
  handler record;
begin
  if not exists (select from sealcast_economy.currencies) then
    insert into sealcast_economy.currencies (currency, by_default) values ('USD', true);
    action := 'added'; object := 'currency USD';
    return next;
  end if;
  if not exists (select from sealcast_economy.xp_rules) then
    insert into sealcast_economy.xp_rules (t, role, points, daily_cap) values
      ('chat', null, 1, 100), ('chat', 'subscriber', 2, 200), ('reaction', null, 1, 20), ('gift', null, 10, 500);
    action := 'added'; object := 'rules for XP';
    return next;
  end if;

  -- Tier 1: a paid message is never sampled. From 100.00 on it is in tier 0.
  insert into sealcast.message_types as y (t, max_bytes, tier, tier0_amount, admit_hook) values ('gift', 512, 1, 10000, hook)
  on conflict (t) do update set admit_hook = excluded.admit_hook where y.admit_hook is null;
  if found then
    action := 'added'; object := 'message type gift with its admit hook';
    return next;
  elsif not exists (select from sealcast.message_types y where y.t = 'gift' and y.admit_hook = hook) then
    raise exception 'message type gift has another admit hook'
      using errcode = 'object_not_in_prerequisite_state', hint = 'Set the hook to null first, or to sealcast_economy.gift_hook.';
  end if;

  if to_regprocedure('sealcast.register_handler(text, text, regprocedure, integer, integer, interval, text, interval)') is null then
    action := 'missing'; object := 'sealcast.register_handler: messages have no effects';
    return next;
    return;
  end if;
  for handler in
    values ('xp', null, 'sealcast_economy.xp_on_events(sealcast.event[])'::regprocedure),
           ('gifts', 'gift', 'sealcast_economy.gift_on_event(sealcast.event)'),
           ('aggregates', null, 'sealcast_economy.aggregates_on_events(sealcast.event[])')
  loop
    perform sealcast.register_handler(handler.column1, handler.column2, handler.column3, group_name => register.group_name);
    action := 'registered'; object := format('handler %s in group %s', handler.column1, group_name);
    return next;
  end loop;
end $$;
comment on function sealcast_economy.register(text) is
  'Adds a currency, rules and the message type gift where they are missing, and registers the handlers with a group of workers. Only for superusers, because it sets an admit hook';
