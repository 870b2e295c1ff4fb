// Parses URLs and redirections, writes commands as bytes, and computes cluster slots.
#include "client/redis/command.h"

#include <array>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "base/service_url.h"

namespace sealcast::client::redis {
namespace {

constexpr std::uint16_t kDefaultPort = 6379;

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

template <typename Number>
bool parse_number(std::string_view text, Number& out) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && stop == text.data() + text.size();
}

}  // namespace

Options parse_url(std::string_view url) {
  ServiceUrl parts = parse_service_url(url, "redis");
  Options options;
  options.address = {std::move(parts.host), parts.port == 0 ? kDefaultPort : parts.port};
  options.tls = parts.tls;
  options.user = std::move(parts.user);
  options.password = std::move(parts.password);
  if (!parts.path.empty() && (!parse_number(parts.path, options.database) || options.database < 0)) {
    throw std::invalid_argument("has no database number after the /");
  }
  return options;
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

std::optional<Redirection> parse_redirection(std::string_view text, const std::string& answering_host) {
  const bool ask = text.starts_with("ASK ");
  if (!ask && !text.starts_with("MOVED ")) return std::nullopt;
  text.remove_prefix(text.find(' ') + 1);
  Redirection out{ask, 0, {}};
  const auto space = text.find(' ');
  const auto colon = text.rfind(':');
  if (space == std::string_view::npos || colon == std::string_view::npos || colon < space) return std::nullopt;
  const char* end = text.data() + text.size();
  const auto slot = std::from_chars(text.data(), text.data() + space, out.slot);
  const auto port = std::from_chars(text.data() + colon + 1, end, out.address.port);
  if (slot.ec != std::errc() || slot.ptr != text.data() + space || out.slot >= kSlots) return std::nullopt;
  if (port.ec != std::errc() || port.ptr != end) return std::nullopt;
  out.address.host = text.substr(space + 1, colon - space - 1);
  if (out.address.host.find(' ') != std::string::npos) return std::nullopt;
  if (out.address.host.empty()) out.address.host = answering_host;
  return out;
}

}  // namespace sealcast::client::redis
