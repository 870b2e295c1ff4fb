// The requests of a run, ready to be sent, and the check of what comes back.
#pragma once

#include <openssl/evp.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sealcast::bench {

struct MessageOptions {
  std::string host;
  std::vector<std::string> stream_ids;
  std::string type = "chat";
  std::string secret_file;  // of the sessions
  std::string keyring;      // its keys verify the answers; empty: answers are only counted
  std::size_t senders = 1000;
  std::size_t bytes = 200;  // of d
};

// HMAC-SHA-256 under one key, initialised once.
class Hmac {
 public:
  explicit Hmac(std::string_view key);
  std::string digest(std::string_view text);  // 32 bytes

 private:
  struct Free {
    void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
  };
  std::unique_ptr<EVP_MAC_CTX, Free> context_;
};

// What makes one message different from the next.
struct MessageId {
  std::uint32_t sender;
  std::uint64_t number;
};

class Messages {
 public:
  // Signs the sessions of all senders. Throws std::runtime_error naming the file that cannot be read.
  explicit Messages(const MessageOptions& options);

  // The next message, of the next sender in turn.
  MessageId next();
  void append_request(MessageId id, std::string& out) const;
  // Whether `body` is, byte for byte, the envelope of that message, signed by a key of the keyring.
  bool verify(MessageId id, std::string_view body);
  bool verifies() const { return !keys_.empty(); }
  // Which message of this run an envelope says it is; nullopt: none.
  std::optional<MessageId> identify(std::string_view envelope) const;
  // Of the first sender.
  const std::string& stream_id() const { return senders_.front().stream_id; }

 private:
  struct Sender {
    std::string id;
    std::string stream_id;
    std::string request;  // up to and behind the txn_id, which is overwritten
  };
  MessageId id_of(std::uint64_t number) const;
  void write_txn_id(std::uint64_t number, char* out) const;

  std::vector<Sender> senders_;
  std::size_t txn_id_from_end_;
  std::uint64_t run_;  // the half of each txn_id that no other run has
  std::uint64_t count_ = 0;
  std::string type_;
  std::string d_;  // canonical
  std::string payload_hash_;
  std::map<std::string, Hmac, std::less<>> keys_;
};

}  // namespace sealcast::bench
