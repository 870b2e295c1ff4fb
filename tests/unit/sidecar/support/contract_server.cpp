// Starts a contract server under Node.js and controls it through its standard input and output.
#include "support/contract_server.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <simdjson.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

namespace sealcast::test {
namespace {

constexpr int kPatienceMs = 30'000;

}  // namespace

ContractServer::ContractServer(const std::string& script, std::vector<std::string> arguments) {
  std::vector<std::string> words = {"node", SEALCAST_CONTRACTS "/" + script, "--dir", scratch_.path("")};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // no process survives a crash of the test
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  in_ = in[1];
  out_ = out[0];
  simdjson::dom::parser parser;
  const auto ready = parser.parse(read_line());
  url_ = std::string_view(ready["url"]);
  ca_file_ = std::string_view(ready["ca_file"]);
}

ContractServer::~ContractServer() {
  ::close(in_);  // the server process ends when its standard input ends
  ::close(out_);
  ::waitpid(pid_, nullptr, 0);
}

std::string ContractServer::read_line() {
  for (;;) {
    const auto end = unread_.find('\n');
    if (end != unread_.npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    pollfd waiting{out_, POLLIN, 0};
    std::array<char, 65536> bytes;
    const ssize_t size = ::poll(&waiting, 1, kPatienceMs) == 1 ? ::read(out_, bytes.data(), bytes.size()) : 0;
    if (size <= 0) throw std::runtime_error("the contract server does not answer; check that node is installed");
    unread_.append(bytes.data(), static_cast<std::size_t>(size));
  }
}

std::string ContractServer::command(const std::string& json) {
  const std::string line = json + "\n";
  if (::write(in_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    throw std::runtime_error("the contract server has ended");
  }
  return read_line();
}

std::string ContractServer::offsets(const std::string& channel) {
  std::string answer = command(R"({"do":"offsets","channel":")" + channel + "\"}");
  const auto begin = answer.find('[') + 1;
  return answer.substr(begin, answer.find(']') - begin);
}

std::string ContractServer::messages(const std::string& channel) {
  return command(R"({"do":"messages","channel":")" + channel + "\"}");
}

std::int64_t ContractServer::count(std::string_view name) {
  simdjson::dom::parser parser;
  return parser.parse(command(R"({"do":"stats"})"))[name].get_int64();
}

std::vector<transport::FramePtr> frames_of(const std::string& stream_id, std::int64_t first, std::int64_t last) {
  std::vector<transport::FramePtr> frames;
  for (std::int64_t offset = first; offset <= last; ++offset) {
    transport::Frame frame{};
    frame.stream_id = stream_id;
    frame.offset = offset;
    frame.prev = offset - 1;
    transport::append_frame(offset, offset - 1,
                            R"({"v":1,"d":{"content":"Grüße \"…\" \\ no. )" + std::to_string(offset) + "\"}}", {},
                            frame.text);
    frames.push_back(std::make_shared<const transport::Frame>(std::move(frame)));
  }
  return frames;
}

std::string offsets_from(std::int64_t first, std::int64_t last) {
  std::string out;
  for (std::int64_t offset = first; offset <= last; ++offset) {
    out += (offset == first ? "" : ",") + std::to_string(offset);
  }
  return out;
}

}  // namespace sealcast::test
