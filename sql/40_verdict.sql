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

-- The refusal of an admit hook, for example (402, 'insufficient_funds', 'not enough coins', null).
create type sealcast.refusal as (
  status integer,
  code text,
  message text,
  hint text
);
