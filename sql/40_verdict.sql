-- The types of the answers of admission. extension/admission/judge.cpp decides which answer a message gets.

-- The answer to one item of a batch. `item` counts from 1. `envelope` is set with status 200 only.
create type sealcast.verdict as (
  item integer,
  status integer,
  code text,
  message text,
  details text,
  hint text,
  retry_after_ms bigint,
  replayed boolean,
  envelope text
);

-- Raises the refusal of a message that was not sealed.
create function sealcast_internal.require_sealed(verdict sealcast.verdict) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if verdict.status <> 200 then
    perform sealcast_internal.refuse(verdict.status, verdict.code, verdict.message, verdict.details, verdict.hint,
                                     verdict.retry_after_ms);
  end if;
end $$;

-- The refusal of an admit hook, for example (402, 'insufficient_funds', 'not enough coins', null).
create type sealcast.refusal as (
  status integer,
  code text,
  message text,
  hint text
);
