// Addresses, commands and cluster slots: everything about Redis that needs no connection.
#include <array>
#include <charconv>
#include <stdexcept>

#include "redis/client.h"

namespace sealcast::redis {
namespace {

constexpr std::uint16_t kDefaultPort = 6379;
constexpr unsigned kSlots = 16'384;

// CRC-16/XMODEM, as the Redis Cluster specification prescribes.
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

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned char byte = 0;
    const auto hex = text.substr(i + 1, 2);
    const auto [stop, error] = std::from_chars(hex.data(), hex.data() + hex.size(), byte, 16);
    if (error != std::errc() || hex.size() != 2 || stop != hex.data() + 2) {
      throw std::invalid_argument("has a % that two hex digits do not follow");
    }
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

}  // namespace

// Messages never quote the URL: it may hold a password.
Options parse_url(std::string_view url) {
  Options options;
  if (url.starts_with("rediss://")) {
    options.tls = true;
    url.remove_prefix(9);
  } else if (url.starts_with("redis://")) {
    url.remove_prefix(8);
  } else {
    throw std::invalid_argument("does not begin with redis:// or rediss://");
  }
  if (const auto slash = url.find('/'); slash != std::string_view::npos) {
    const auto database = url.substr(slash + 1);
    if (!database.empty() && (!parse_number(database, options.database) || options.database < 0)) {
      throw std::invalid_argument("has something other than a database number behind the /");
    }
    url = url.substr(0, slash);
  }
  if (const auto at = url.rfind('@'); at != std::string_view::npos) {
    const auto credentials = url.substr(0, at);
    const auto colon = std::min(credentials.find(':'), credentials.size());
    options.user = percent_decoded(credentials.substr(0, colon));
    options.password = percent_decoded(credentials.substr(std::min(colon + 1, credentials.size())));
    url = url.substr(at + 1);
  }
  options.address.port = kDefaultPort;
  const auto bracket = url.starts_with('[') ? url.find(']') : std::string_view::npos;
  const auto colon = url.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    if (!parse_number(url.substr(colon + 1), options.address.port) || options.address.port == 0) {
      throw std::invalid_argument("has no port number behind the colon");
    }
    url = url.substr(0, colon);
  }
  options.address.host = bracket == std::string_view::npos ? url : url.substr(1, url.size() - 2);
  if (options.address.host.empty()) throw std::invalid_argument("names no host");
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

}  // namespace sealcast::redis
