// What replies say about where commands belong: redirections of a cluster, the master that a sentinel names, and
// servers that have become replicas or refuse the password. A foreign server has written all of them, so none is
// trusted to be well-formed.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "client/redis/options.h"
#include "client/redis/reply.h"

namespace sealcast::client::redis {

inline constexpr std::size_t kSlots = 16'384;

// The content of the error MOVED or ASK, which a cluster node returns when it does not serve the slot of a key.
struct Redirection {
  bool ask;  // true: send only this command to `address`, after ASKING; false: the whole slot has moved there
  std::size_t slot;
  Address address;
};

// Parses the errors "MOVED 3999 10.0.0.2:6381" and "ASK 3999 host:6381". Returns nullopt for any other text. An empty
// host means the host of the node that answered, `answering`.
std::optional<Redirection> parse_redirection(std::string_view text, const Address& answering);

// Returns the address in a sentinel's reply to SENTINEL GET-MASTER-ADDR-BY-NAME. Returns nullopt for a null reply,
// which means that the sentinel knows no such master, and for a malformed one.
std::optional<Address> parse_master(const redisReply* reply);

// Returns whether the reply to ROLE is the one of a replica.
bool says_replica(const redisReply* reply);

// Returns whether the text of an error says that the server is a replica and refuses writes. Redis 6.2 wraps the error
// of a script's command into another one.
bool refuses_as_replica(std::string_view error);

// Returns whether the text of an error says that the password is wrong or missing.
bool refuses_password(std::string_view error);

// Returns whether the text of an error says that the server ended a blocking command because it became a replica.
bool unblocked_as_replica(std::string_view error);

}  // namespace sealcast::client::redis
