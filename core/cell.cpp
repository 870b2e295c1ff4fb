// Finds the cell of a stream by rendezvous hashing. Each pair of a cell and a stream has a score. The stream belongs to
// the cell with the highest score.
#include "core/cell.h"

#include <string>

#include "core/digest.h"

namespace sealcast::core {

std::uint64_t cell_score(std::string_view cell, std::string_view stream_id) {
  std::string names;
  names.reserve(cell.size() + 1 + stream_id.size());
  names.append(cell).append("/").append(stream_id);
  return leading_number(sha256(names));
}

std::size_t rendezvous(std::string_view stream_id, std::span<const std::string_view> cells) {
  std::size_t best = cells.size();
  std::uint64_t best_score = 0;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::uint64_t score = cell_score(cells[i], stream_id);
    if (best == cells.size() || score > best_score || (score == best_score && cells[i] < cells[best])) {
      best = i;
      best_score = score;
    }
  }
  return best;
}

}  // namespace sealcast::core
