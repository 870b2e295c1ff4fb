-- What admission answers with. Who decides it is extension/pg/judge.cpp.

-- The answer to one item of a batch. `item` counts from 1; `envelope` only with status 200.
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

-- What an admit hook returns to refuse, for example (402, 'insufficient_funds', 'not enough coins', null).
create type sealcast.refusal as (
  status integer,
  code text,
  message text,
  hint text
);
