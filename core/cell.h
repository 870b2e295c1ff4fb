// Assigns a stream to one of several cells by rendezvous hashing (docs/cells.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sealcast::core {

// The score of a cell for a stream: the first 8 bytes, big-endian, of SHA-256 over the cell's name, "/" and the
// stream's id in lower case.
std::uint64_t cell_score(std::string_view cell, std::string_view stream_id);

// Returns the index of the cell with the highest score. If two scores are equal, the smaller name wins. Returns
// cells.size() if `cells` is empty. If a cell is removed, only the streams of that cell move. A new cell gets about the
// same number of streams from each other cell.
std::size_t rendezvous(std::string_view stream_id, std::span<const std::string_view> cells);

}  // namespace sealcast::core
