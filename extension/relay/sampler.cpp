// Looks up the sampling rate of a stream and the tier rules of a type. Also implements the SQL function sampled().
#include "relay/sampler.h"

#include "server/datum.h"
#include "server/guard.h"

extern "C" {
#include "utils/array.h"
}

namespace sealcast::relay {

Sampler Sampler::open() {
  Sampler sampler;
  sampler.rates_ = server::IndexLookup::open("sampling");
  sampler.rate_ = sampler.rates_.column("rate");
  sampler.types_ = server::IndexLookup::open("message_types");
  sampler.tier_ = sampler.types_.column("tier");
  sampler.tier0_amount_ = sampler.types_.column("tier0_amount");
  sampler.server_fields_ = sampler.types_.column("server_fields");
  return sampler;
}

void Sampler::close() {
  types_.close();
  rates_.close();
}

int Sampler::rate_of(const pg_uuid_t& stream_id) {
  const Datum key[] = {UUIDPGetDatum(&stream_id)};
  rates_.find(key);
  return rates_.next() ? DatumGetInt16(rates_.value(rate_)) : kUnsampled;
}

// Returns the rules that give a message of type `t` its tier. If the type has been deleted, returns the default rules.
core::TierRules Sampler::rules_of(const text* t) {
  core::TierRules rules;
  const Datum key[] = {PointerGetDatum(t)};
  types_.find(key);
  if (!types_.next()) return rules;
  rules.tier = DatumGetInt16(types_.value(tier_));
  if (const std::optional<Datum> amount = types_.optional(tier0_amount_)) rules.tier0_amount = DatumGetInt64(*amount);
  rules.states_role = ARR_NDIM(DatumGetArrayTypeP(types_.value(server_fields_))) > 0;
  return rules;
}

bool Sampler::carries(int rate, const pg_uuid_t& stream_id, const pg_uuid_t& sender_id, const text* t, const text* d) {
  const server::UuidText stream(stream_id), sender(sender_id);
  const core::TierRules rules = rules_of(t);
  bool carried = false;
  server::guarded([&](core::CancelFlag) {
    carried = core::is_sampled(sender.view(), stream.view(), rate) ||
              core::tier_of(rules, sender.view(), server::view(d)) < 2;
  });
  return carried;
}

SEALCAST_FUNCTION(sealcast_sampled) {
  const server::UuidText user_id(*PG_GETARG_UUID_P(0));
  const server::UuidText stream_id(*PG_GETARG_UUID_P(1));
  const int32 rate = PG_GETARG_INT32(2);
  bool sampled = false;
  server::guarded([&](core::CancelFlag) { sampled = core::is_sampled(user_id.view(), stream_id.view(), rate); });
  PG_RETURN_BOOL(sampled);
}

}  // namespace sealcast::relay
