// Tells whether a file is still the one that was read: its inode, size and times.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

namespace sealcast {

using FileStamp = std::tuple<std::uint64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;

FileStamp stamp_file(const std::string& path);  // all zero when there is none

}  // namespace sealcast
