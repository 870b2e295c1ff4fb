// Interprets the input as replies of Redis. Each parser of replies must return only data that the reply contains, or no
// data.
#include <hiredis/read.h>

#include <string>

#include "client/redis/reply.h"
#include "client/redis/topology.h"
#include "events/replies.h"
#include "fuzz.h"
#include "message/gate_answer.h"

namespace sealcast::fuzz {
namespace {

// Returns whether a reply announces an array of 10,000 or more elements. hiredis allocates memory for all announced
// elements before they arrive, so the fuzzer would run out of memory.
bool announces_too_much(std::string_view bytes) {
  for (std::size_t at = bytes.find('*'); at != bytes.npos; at = bytes.find('*', at + 1)) {
    const std::size_t end = std::min(bytes.find_first_not_of("0123456789", at + 1), bytes.size());
    if (end - at > 5) return true;
  }
  return false;
}

void check_id(std::string_view text) {
  if (const auto id = events::parse_entry_id(text))
    require(events::parse_entry_id(events::to_string(*id)) == id, "parsing the text of an id returns the same id");
}

void check_entries(const redisReply* reply) {
  std::size_t trimmed = 0;
  const auto entries = events::parse_entries(reply, trimmed);
  require(trimmed <= entries.size(), "lost entries are counted among the entries");
  for (const events::EntryPtr& entry : entries) {
    check_id(events::to_string(entry->id));
    const std::string& envelope = entry->envelope;
    require(envelope.find('\0') == envelope.npos, "an envelope has no NUL, so Postgres can store it");
    for (const std::string_view part : {entry->type(), entry->sender()}) {
      require(part.empty() || envelope.find(part) != envelope.npos, "a part of an envelope occurs in it");
    }
  }
  for (const events::GroupProgress& group : events::parse_trim_reply(reply).groups)
    require(group.name.size() < 4096, "a name is not longer than a reply can be");
  if (const auto newest = events::parse_newest(reply)) check_id(events::to_string(*newest));
}

void check_gate(const redisReply& reply) {
  constexpr int kLimit = 5;
  message::GateAnswer answer{message::GateOutcome::unavailable, kLimit, 0, std::chrono::milliseconds(1000)};
  if (message::read_answer(reply, answer)) {
    require(reply.type == REDIS_REPLY_INTEGER && answer.outcome != message::GateOutcome::unavailable,
            "an answer comes from an integer and is not unavailable");
  } else {
    require(answer.outcome == message::GateOutcome::unavailable, "without an answer the gate is unavailable");
  }
  require(answer.remaining >= 0 && answer.remaining <= kLimit, "the remaining number of messages is within the limit");
  require(answer.retry_after >= std::chrono::milliseconds(0), "the time to wait is not negative");
  const std::string line = message::to_line(answer);
  require(line.find('\n') == line.size() - 1, "an answer is one line");
}

void check_address(const redis::Address& address) {
  require(address.path.empty(), "no server sends the client to a socket of its machine");
  require(address.port != 0 && !address.host.empty(), "an address has a host and a port");
  require(address.host.find_first_of(" /\r\n") == std::string::npos, "a host has no space and no path");
}

void check_redirection(std::string_view text) {
  const auto found = redis::parse_redirection(text, redis::Address{"home", 1});
  if (!found) return;
  require(found->slot < redis::kSlots && !found->address.host.empty(), "a redirection has a slot and a host");
  const std::string_view slot = text.substr(text.find(' ') + 1);
  require(slot.substr(0, slot.find(' ')).find_first_not_of("0123456789") == slot.npos, "a slot consists of digits");
  check_address(found->address);
}

void check_sentinel(const redisReply* reply) {
  if (const auto master = redis::parse_master(reply)) check_address(*master);
  const std::string_view text = redis::text_of(reply);
  require(!redis::says_replica(reply) || reply->type == REDIS_REPLY_ARRAY, "a role comes from an array");
  require(!redis::refuses_as_replica(text) || !redis::unblocked_as_replica(text), "an error has one meaning");
}

}  // namespace

void check(std::string_view bytes) {
  if (announces_too_much(bytes)) return;
  const std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader(redisReaderCreate(), redisReaderFree);
  for (const std::string_view piece : {bytes.substr(0, bytes.size() / 2), bytes.substr(bytes.size() / 2)}) {
    redisReaderFeed(reader.get(), piece.data(), piece.size());
    for (void* next = nullptr; redisReaderGetReply(reader.get(), &next) == REDIS_OK && next != nullptr;) {
      const redis::ReplyPtr reply(static_cast<redisReply*>(next));
      check_entries(reply.get());
      check_gate(*reply);
      check_redirection(redis::text_of(reply.get()));
      check_sentinel(reply.get());
      check_id(redis::text_of(reply.get()));
    }
  }
  check_redirection(bytes);
  check_id(bytes);
}

}  // namespace sealcast::fuzz
