// Sets libcurl up for one transfer, collects the response, and waits for its end or the deadline.
#include "client/http/client.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <new>

#include "base/event.h"
#include "client/http/multi.h"
#include "core/characters.h"

namespace sealcast::client::http {
namespace {

constexpr curl_off_t kLongestRetryAfter = 3600;  // seconds; a longer Retry-After is shortened to this

class Transfer {
 public:
  Transfer(std::shared_ptr<Multi> multi, const asio::any_io_executor& executor, const ClientOptions& options,
           const std::string& url, Client::Clock::time_point deadline);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  void post(const Post& request);  // makes it a POST; without this call it is a GET
  asio::awaitable<void> perform();
  Answer answer();

 private:
  void set_up(const ClientOptions& options, const std::string& url);
  void read_headers();
  bool fits(std::size_t bytes);
  static std::size_t on_head(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);

  std::shared_ptr<Multi> multi_;
  CURL* easy_;
  curl_slist* headers_ = nullptr;
  const Client::Clock::time_point deadline_;
  Event ended_;
  std::size_t bytes_left_;  // number of bytes that the service may still send
  bool too_long_ = false;
  CURLcode code_ = CURLE_OK;
  std::array<char, CURL_ERROR_SIZE> error_{};
  Answer answer_;
};

Transfer::Transfer(std::shared_ptr<Multi> multi, const asio::any_io_executor& executor, const ClientOptions& options,
                   const std::string& url, Client::Clock::time_point deadline)
    : multi_(std::move(multi)),
      easy_(curl_easy_init()),
      deadline_(deadline),
      ended_(executor),
      bytes_left_(options.max_response_bytes) {
  if (!easy_) throw std::bad_alloc();
  set_up(options, url);
}

Transfer::~Transfer() {
  multi_->remove(easy_);
  curl_easy_cleanup(easy_);
  curl_slist_free_all(headers_);
}

void Transfer::post(const Post& request) {
  // Without this empty header, libcurl sends "Expect: 100-continue" before a large body and waits a second for an
  // answer to it.
  headers_ = curl_slist_append(headers_, "Expect:");
  for (const std::string& header : request.headers) headers_ = curl_slist_append(headers_, header.c_str());
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
  curl_easy_setopt(easy_, CURLOPT_POST, 1L);
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request.body.data());
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
}

void Transfer::set_up(const ClientOptions& options, const std::string& url) {
  curl_easy_setopt(easy_, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy_, CURLOPT_USERAGENT, "sealcastd/" SEALCAST_VERSION);
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy_, CURLOPT_PROXY, "");
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  // libcurl resolves host names in a thread of its own. With this option, the end of a transfer does not wait for a
  // thread that hangs. Such a wait would block the event loop.
  curl_easy_setopt(easy_, CURLOPT_QUICK_EXIT, 1L);

  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(easy_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options.ca_file.empty()) {
    curl_easy_setopt(easy_, CURLOPT_CAINFO, options.ca_file.c_str());
    // libcurl would keep the certificates for a day. A new connection reads them again, so that they can be replaced.
    curl_easy_setopt(easy_, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(easy_, CURLOPT_CAPATH, nullptr);  // otherwise libcurl also trusts the system's certificates
  }

  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, on_head);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_.data());
}

bool Transfer::fits(std::size_t bytes) {
  too_long_ = bytes > bytes_left_;
  if (!too_long_) bytes_left_ -= bytes;
  return !too_long_;
}

std::size_t Transfer::on_head(char*, std::size_t size, std::size_t count, void* self) {
  return static_cast<Transfer*>(self)->fits(size * count) ? size * count : 0;
}

std::size_t Transfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (!transfer.fits(size * count)) return 0;
  transfer.answer_.body.append(data, size * count);
  return size * count;
}

asio::awaitable<void> Transfer::perform() {
  multi_->add(easy_, [this](CURLcode code) {
    code_ = code;
    ended_.set();
  });
  co_await ended_.wait_until(deadline_);
}

void Transfer::read_headers() {
  for (curl_header* header = curl_easy_nextheader(easy_, CURLH_HEADER, -1, nullptr); header != nullptr;
       header = curl_easy_nextheader(easy_, CURLH_HEADER, -1, header)) {
    answer_.headers.emplace_back(header->name, header->value);
  }
}

Answer Transfer::answer() {
  answer_.late = !ended_.is_set() || code_ == CURLE_OPERATION_TIMEDOUT;
  if (!ended_.is_set()) {
    answer_.failure = "no answer by the deadline";
  } else if (code_ == CURLE_ABORTED_BY_CALLBACK) {
    answer_.failure = "sealcastd is stopping";
  } else if (too_long_) {
    answer_.failure = "the response is too long";
  } else if (code_ != CURLE_OK) {
    answer_.failure = one_line(error_.front() != '\0' ? error_.data() : curl_easy_strerror(code_));
  } else {
    long status = 0;
    curl_off_t seconds = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy_, CURLINFO_RETRY_AFTER, &seconds);
    answer_.status = static_cast<int>(status);
    answer_.retry_after = std::chrono::seconds(std::clamp(seconds, curl_off_t{0}, kLongestRetryAfter));
    read_headers();
  }
  if (answer_.status == 0) answer_.body.clear();  // an incomplete body is useless
  return std::move(answer_);
}

void initialise_libcurl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

}  // namespace

Client::Client(asio::any_io_executor executor, ClientOptions options)
    : executor_(std::move(executor)), options_(std::move(options)) {
  initialise_libcurl();
  multi_ = std::make_shared<Multi>(executor_, options_.max_connections);
}

Client::~Client() { stop(); }

asio::awaitable<Answer> Client::post(Post request, Clock::time_point deadline) {
  Transfer transfer(multi_, executor_, options_, request.url, deadline);
  transfer.post(request);
  co_await transfer.perform();
  co_return transfer.answer();
}

asio::awaitable<Answer> Client::get(std::string url, Clock::time_point deadline) {
  Transfer transfer(multi_, executor_, options_, url, deadline);
  co_await transfer.perform();
  co_return transfer.answer();
}

void Client::stop() { multi_->stop(); }

std::string percent_encode(std::string_view segment) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : segment) {
    if (core::is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

}  // namespace sealcast::client::http
