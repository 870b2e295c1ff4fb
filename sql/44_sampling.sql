-- Which messages go to the public channel of a stream in a chat storm.

create function sealcast.sampled(user_id uuid, stream_id uuid, rate integer) returns boolean
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_sampled';
comment on function sealcast.sampled(uuid, uuid, integer) is
  'Whether the user is among the rate percent of the stream''s users who are sent: SHA-256 over user_id and stream_id, lower-case text, its first 8 bytes big-endian modulo 100, is less than rate';

-- `d` as it was sealed: user_role is the server's word there, where the type has it so.
create function sealcast.tier(t text, sender_id uuid, d jsonb) returns integer
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select case
    when tier.sender_id = '00000000-0000-0000-0000-000000000000' then 0
    when y.tier0_amount is not null and jsonb_typeof(tier.d -> 'amount') = 'number'
         and (tier.d ->> 'amount')::numeric >= y.tier0_amount then 0
    when jsonb_typeof(tier.d -> 'user_role') = 'string' and y.server_fields = '{user_role}' then least(y.tier, 1)
    else coalesce(y.tier, 2)
  end
  from (values (tier.t)) i (t) left join sealcast.message_types y on y.t = i.t;
end;
comment on function sealcast.tier(text, uuid, jsonb) is
  '0: from the system, of a type of tier 0, or of an amount from tier0_amount on; 1: the sender has a role in the stream; 2: all others';
