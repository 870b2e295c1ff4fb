// Commands as bytes of the Redis protocol, and the cluster slots of their keys.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "client/names.h"

namespace sealcast::client::redis {

// One command as bytes of the Redis protocol.
class Command {
 public:
  // `key` selects the node when Redis is a cluster. An empty `key` means that any node can execute the command.
  Command(std::initializer_list<std::string_view> arguments, std::string_view key = {})
      : Command(std::span(arguments.begin(), arguments.size()), key) {}
  Command(std::span<const std::string_view> arguments, std::string_view key = {});

  std::string_view bytes() const { return bytes_; }
  int slot() const { return slot_; }  // the cluster slot of the key; -1: any node

 private:
  std::string bytes_;
  int slot_;
};

// Returns the cluster slot of a key.
int slot_of(std::string_view key);

}  // namespace sealcast::client::redis
