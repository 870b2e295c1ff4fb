// Prepares the requests of a run and checks the envelopes in answers and frames.
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
  std::string secret_file;  // HS256 secret of the sessions
  std::string keyring;      // directory of the keys that verify envelopes; if empty, nothing is verified
  std::size_t senders = 1000;
  std::size_t bytes = 200;  // size of d
};

// HMAC-SHA-256 under one key, which is set up once for all messages.
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

// Identifies a message of a run of this program.
struct MessageId {
  std::uint32_t sender;
  std::uint64_t number;
};

class Messages {
 public:
  // Signs the sessions of all senders. If a file cannot be read, throws std::runtime_error, which names the file.
  explicit Messages(const MessageOptions& options);

  // Returns the id of the next message. The senders send in turn.
  MessageId next();
  void append_request(MessageId id, std::string& out) const;
  // Returns whether `body` is exactly the envelope of the message, signed by a key of the keyring.
  bool verify(MessageId id, std::string_view body);
  bool verifies() const { return !keys_.empty(); }
  // Finds the message of this run by the envelope's txn_id. Returns nullopt if this run has not sent such a message.
  std::optional<MessageId> identify(std::string_view envelope) const;
  // The stream of the first sender.
  const std::string& stream_id() const { return senders_.front().stream_id; }

 private:
  struct Sender {
    std::string id;
    std::string stream_id;
    std::string request;  // the whole request; append_request() overwrites its txn_id
  };
  MessageId id_of(std::uint64_t number) const;
  void write_txn_id(std::uint64_t number, char* out) const;

  std::vector<Sender> senders_;
  std::size_t txn_id_from_end_;
  std::uint64_t run_;  // random; a part of each txn_id, so that the txn_ids of two runs differ
  std::uint64_t count_ = 0;
  std::string type_;
  std::string d_;  // canonical JSON
  std::string payload_hash_;
  std::map<std::string, Hmac, std::less<>> keys_;
};

}  // namespace sealcast::bench
