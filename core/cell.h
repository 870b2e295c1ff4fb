// Which of several cells a stream belongs to, by rendezvous hashing (docs/cells.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sealcast::core {

// Of a cell for a stream: the first 8 bytes, big-endian, of SHA-256 over the cell's name, "/" and the stream's id in
// lower case.
std::uint64_t cell_score(std::string_view cell, std::string_view stream_id);

// The place in `cells` of the one with the highest score, of equals the one whose name is less; cells.size() when there
// is none. A cell that goes moves only its own streams, one that comes takes an equal part of each.
std::size_t rendezvous(std::string_view stream_id, std::span<const std::string_view> cells);

}  // namespace sealcast::core
