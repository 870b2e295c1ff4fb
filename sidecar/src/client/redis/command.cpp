// Writes commands as bytes, and computes cluster slots.
#include "client/redis/command.h"

#include <array>
#include <charconv>
#include <cstdint>

#include "client/redis/topology.h"

namespace sealcast::client::redis {
namespace {

// The table for CRC-16/XMODEM, which the Redis Cluster specification prescribes for cluster slots.
constexpr std::array<std::uint16_t, 256> kCrcTable = [] {
  std::array<std::uint16_t, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021 : 0);
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}();

}  // namespace

int slot_of(std::string_view key) {
  const auto open = key.find('{');
  if (open != std::string_view::npos) {
    const auto close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
  }
  unsigned crc = 0;
  for (const char c : key) crc = ((crc << 8) ^ kCrcTable[((crc >> 8) ^ static_cast<unsigned char>(c)) & 0xFF]) & 0xFFFF;
  return static_cast<int>(crc % kSlots);
}

Command::Command(std::span<const std::string_view> arguments, std::string_view key)
    : slot_(key.empty() ? -1 : slot_of(key)) {
  const auto line = [this](char kind, std::size_t number) {
    char digits[24];
    bytes_ += kind;
    bytes_.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
    bytes_ += "\r\n";
  };
  std::size_t size = 16;
  for (const auto argument : arguments) size += argument.size() + 16;
  bytes_.reserve(size);
  line('*', arguments.size());
  for (const auto argument : arguments) {
    line('$', argument.size());
    bytes_ += argument;
    bytes_ += "\r\n";
  }
}

}  // namespace sealcast::client::redis
