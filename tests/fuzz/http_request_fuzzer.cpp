// Interprets the input as HTTP requests on one connection. The bytes arrive in pieces. The parsed requests must not
// depend on the size of the pieces, and must be within the limits. Then checks parameters, paths and static files of
// the parsed requests.
#include <boost/asio/buffer.hpp>
#include <optional>
#include <string>
#include <vector>

#include "fuzz.h"
#include "http/parser.h"
#include "http/path.h"
#include "http/static_files.h"
#include "support/scratch.h"

namespace sealcast::fuzz {
namespace {

using http::Request;

constexpr std::uint32_t kMaxHeader = 1024;
constexpr std::uint64_t kMaxBody = 64;

struct Parsed {
  std::vector<Request> requests;
  std::vector<std::string_view> heads;  // the header bytes of each request
  bool whole = true;                    // the input has neither an incomplete nor an invalid request
};

// Parses the bytes in pieces of `piece` bytes, in the same way as http/server_connection.cpp. The parser gets all bytes
// that have arrived and that it has not consumed yet.
Parsed parse(std::string_view bytes, std::size_t piece) {
  Parsed parsed;
  std::size_t begin = 0, end = 0, first = 0;
  Request request;
  std::optional<http::RequestParser> parser;
  while (end < bytes.size()) {
    end += std::min(piece, bytes.size() - end);
    while (begin < end) {
      if (!parser && (bytes[begin] == '\r' || bytes[begin] == '\n')) {
        ++begin;
        continue;
      }
      if (!parser) {
        request = {};
        parser.emplace(request, kMaxHeader, kMaxBody);
        first = begin;
      }
      boost::system::error_code error;
      const std::size_t used = parser->put(boost::asio::const_buffer(bytes.data() + begin, end - begin), error);
      begin += used;
      if (!error && parser->is_done()) {
        require(request.body.capacity() >= request.body.size() + http::RequestParser::kBodyPadding,
                "the body has the padding that simdjson needs");
        parsed.requests.push_back(request);
        const std::string_view whole = bytes.substr(first, begin - first);
        parsed.heads.push_back(whole.substr(0, whole.find("\r\n\r\n")));
        parser.reset();
      } else if (error == boost::beast::http::error::need_more) {
        if (used == 0) break;
      } else if (error) {
        parsed.whole = false;
        return parsed;
      }
    }
  }
  parsed.whole = !parser;
  return parsed;
}

bool same(const Request& a, const Request& b) {
  return a.method == b.method && a.version == b.version && a.target == b.target && a.body == b.body &&
         a.authorization == b.authorization && a.origin == b.origin && a.last_event_id == b.last_event_id &&
         a.preflight_method == b.preflight_method && a.preflight_headers == b.preflight_headers &&
         a.forwarded_for == b.forwarded_for && a.has_json == b.has_json && a.has_coding == b.has_coding &&
         a.unknown_method == b.unknown_method;
}

bool has_field(std::string_view head, std::string_view field) {
  std::string lower(head);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return lower.find("\n" + std::string(field) + ":") != lower.npos;
}

void check_parameters(const Request& request) {
  // A parameter may contain any bytes if they are percent-encoded.
  std::string target = request.target + (request.target.find('?') == std::string::npos ? "?" : "&") + "fuzzed=";
  constexpr std::string_view kHex = "0123456789abcdef";
  for (const char c : request.body) {
    target += {'%', kHex[static_cast<unsigned char>(c) >> 4], kHex[c & 15]};
  }
  Request encoded;
  encoded.target = target;
  if (request.target.find("fuzzed=") == std::string::npos) {
    require(encoded.parameter("fuzzed") == request.body, "a parameter is the encoded value");
  }
  constexpr std::string_view kKnown[] = {"after"};
  require(is_one_line(request.parameters_problem(kKnown)), "an error can contain the name of a parameter");
  for (const std::string& text : {request.parameter("after"), request.last_event_id}) {
    http::Response response;
    std::optional<std::int64_t> number;
    if (http::read_whole_number("after", text, 0, 1000, number, response)) {
      require(number.has_value() == !text.empty(), "a number is present if and only if its text is not empty");
      if (!number) continue;
      require(*number >= 0 && *number <= 1000, "a number is within its bounds");
      require(text.find_first_not_of("-0123456789") == text.npos, "a number consists of digits");
    } else {
      require(response.status == 400 && !number, "an invalid number gets 400");
    }
  }
}

void check_path(const Request& request) {
  const std::string_view path = request.path();
  require(path.find('?') == path.npos, "a path ends before the query");
  for (const std::string_view pattern : {"/", "/healthz", "/rpc/{id}", "/streams/{id}/events"}) {
    std::string_view id;
    if (!http::path_matches(pattern, path, id)) continue;
    std::string filled(pattern);
    const std::size_t at = filled.find("{id}");
    if (at != filled.npos) {
      require(!id.empty() && id.find('/') == id.npos, "an id is one segment");
      filled.replace(at, 4, id);
    }
    require(filled == path, "a matching path is the pattern with the id");
  }
}

void check_files(const Request& request) {
  static const test::Scratch scratch;
  static const http::StaticFiles files = [] {
    scratch.write("secret", "outside");
    std::filesystem::create_directories(scratch.path("room/a"));
    std::filesystem::create_symlink("../secret", scratch.path("room/link"));
    scratch.write("room/.hidden", "outside");
    scratch.write("room/index.html", "inside");
    scratch.write("room/a/b.txt", "inside");
    return http::StaticFiles(scratch.path("room"), {});
  }();
  http::Response response;
  files.answer(request.path(), response);
  require(response.status == 404 || (response.status == 200 && response.body == "inside"),
          "only files of the directory are served");
}

void check_requests(const Parsed& parsed) {
  for (std::size_t i = 0; i < parsed.requests.size(); ++i) {
    const Request& request = parsed.requests[i];
    const std::string* const fields[] = {&request.authorization, &request.origin, &request.last_event_id,
                                         &request.preflight_method, &request.forwarded_for};
    std::size_t kept = 0;
    for (const std::string* field : fields) {
      kept += field->size();
      require(field->find_first_of(std::string_view("\r\n\0", 3)) == field->npos, "a field is one line");
    }
    require(request.target.size() <= kMaxHeader && kept <= kMaxHeader, "a header is within its limit");
    require(request.body.size() <= kMaxBody, "a body is within its limit");
    require(!has_field(parsed.heads[i], "content-length") || !has_field(parsed.heads[i], "transfer-encoding"),
            "a body has one length");
    require(is_one_line(request.target) && request.target.find(' ') == std::string::npos,
            "a header of the response can contain the target");
  }
}

}  // namespace

void check(std::string_view bytes) {
  const Parsed whole = parse(bytes, bytes.size());
  check_requests(whole);
  for (const std::size_t piece : {std::size_t{1}, 1 + bytes.size() / 3}) {
    const Parsed pieces = parse(bytes, piece);
    check_requests(pieces);
    // The parser may refuse a header that is too long before the header is complete. So the requests of long inputs may
    // depend on the pieces.
    if (bytes.size() > kMaxHeader) continue;
    require(pieces.whole == whole.whole, "the input is complete in one piece if and only if it is in many");
    require(
        std::equal(pieces.requests.begin(), pieces.requests.end(), whole.requests.begin(), whole.requests.end(), same),
        "the requests do not depend on the size of the pieces");
  }
  for (const Request& request : whole.requests) {
    check_path(request);
    check_parameters(request);
    check_files(request);
  }
}

}  // namespace sealcast::fuzz
