#include "sluice/cache/entry.h"

#include <cstring>
#include <new>

#include "sluice/base/strings.h"
#include "sluice/http/forwarding.h"

namespace sluice::cache {
namespace {

constexpr std::string_view kVersion = "HTTP/1.1 ";

// Copies to `at` and moves it on.
std::string_view put(std::string_view bytes, char*& at) noexcept {
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  const std::string_view copy(at, bytes.size());
  at += bytes.size();
  return copy;
}

}  // namespace

// Where things stand in the block: the Entry, its arrays by falling alignment, then all text.
struct Entry::Layout {
  explicit Layout(const EntrySpec& spec) noexcept {
    head = kVersion.size() + 4 + spec.reason.size() + 2 + 2;
    for (const http::Field& field : spec.fields) {
      head += field.name.size() + field.value.size() + 4;
    }
    size_t text = spec.key.text.size() + head;
    for (const VaryField& field : spec.vary) text += field.name.size() + field.value.size();
    parts = sizeof(Entry);
    tags = parts + spec.parts.size() * sizeof(EntryPart);
    vary = tags + spec.tags.size() * sizeof(EntryTag);
    fields = vary + spec.vary.size() * sizeof(VaryField);
    texts = fields + spec.fields.size() * sizeof(http::Field);
    size = texts + text;
  }
  size_t head, parts, tags, vary, fields, texts, size;
};

Ref<Entry> Entry::make(MemoryBudget& budget, const EntrySpec& spec) noexcept {
  SL_CHECK(spec.status >= 200 && spec.status <= 999);
  const Layout layout(spec);
  const size_t cost = heap_cost(layout.size);
  if (!budget.reserve(cost)) return nullptr;
  void* storage = ::operator new(layout.size, std::nothrow);
  if (storage == nullptr) {
    budget.release(cost);
    return nullptr;
  }
  return Ref<Entry>::adopt(new (storage) Entry(budget, spec, layout));
}

Entry::Entry(MemoryBudget& budget, const EntrySpec& spec, const Layout& layout) noexcept
    : flags_(spec.flags),
      started_(spec.started),
      times_(spec.times),
      complete_length_(spec.complete_length),
      budget_(budget),
      cost_(heap_cost(layout.size)) {
  char* block = reinterpret_cast<char*>(this);
  auto* parts = reinterpret_cast<EntryPart*>(block + layout.parts);
  auto* tags = reinterpret_cast<EntryTag*>(block + layout.tags);
  auto* vary = reinterpret_cast<VaryField*>(block + layout.vary);
  auto* fields = reinterpret_cast<http::Field*>(block + layout.fields);
  char* at = block + layout.texts;

  key_ = spec.key;
  key_.text = put(spec.key.text, at);
  key_.url = key_.text.substr(static_cast<size_t>(spec.key.url.data() - spec.key.text.data()),
                              spec.key.url.size());
  for (size_t i = 0; i < spec.parts.size(); ++i) new (&parts[i]) EntryPart(spec.parts[i]);
  for (size_t i = 0; i < spec.tags.size(); ++i) new (&tags[i]) EntryTag(spec.tags[i]);
  for (size_t i = 0; i < spec.vary.size(); ++i) {
    const VaryField& from = spec.vary[i];
    new (&vary[i]) VaryField{put(from.name, at), put(from.value, at), from.is_present};
  }
  parts_ = {parts, spec.parts.size()};
  tags_ = {tags, spec.tags.size()};
  vary_ = {vary, spec.vary.size()};
  copy_head(spec, fields, at);
  SL_CHECK(at == block + layout.size);
}

void Entry::copy_head(const EntrySpec& spec, http::Field* fields, char*& at) noexcept {
  const char* begin = at;
  put(kVersion, at);
  *at++ = static_cast<char>('0' + spec.status / 100);
  *at++ = static_cast<char>('0' + spec.status / 10 % 10);
  *at++ = static_cast<char>('0' + spec.status % 10);
  *at++ = ' ';
  head_.status = spec.status;
  head_.reason = put(spec.reason, at);
  put("\r\n", at);
  for (size_t i = 0; i < spec.fields.size(); ++i) {
    const http::Field& from = spec.fields[i];
    auto* field = new (&fields[i]) http::Field;
    field->id = from.id;
    field->name = put(from.name, at);
    put(": ", at);
    field->value = put(from.value, at);
    put("\r\n", at);
  }
  put("\r\n", at);
  head_.fields = http::FieldList({fields, spec.fields.size()});
  head_.raw = {begin, static_cast<size_t>(at - begin)};
  head_.ready_length = http::ready_length(head_);
}

EntrySpec Entry::spec() const noexcept {
  EntrySpec spec;
  spec.key = key_;
  spec.vary = vary_;
  spec.status = head_.status;
  spec.reason = head_.reason;
  spec.fields = {head_.fields.begin(), head_.fields.end()};
  spec.times = times_;
  spec.flags = flags_;
  spec.started = started_;
  spec.tags = tags_;
  spec.complete_length = complete_length_;
  spec.parts = parts_;
  return spec;
}

void Entry::destroy() noexcept {
  for (EntryPart& part : parts_) part.~EntryPart();
  MemoryBudget& budget = budget_;
  const size_t cost = cost_;
  this->~Entry();
  ::operator delete(static_cast<void*>(this));
  budget.release(cost);
}

std::optional<uint64_t> Entry::complete_length() const noexcept {
  if (complete_length_) return complete_length_;
  if (parts_.empty()) return 0;
  const bool is_one = parts_.size() == 1 && parts_[0].first == 0;
  const Body::Progress progress = parts_[0].body->progress();
  if (!is_one || progress.state != Body::State::complete) return std::nullopt;
  return progress.size;
}

bool Entry::is_whole() const noexcept {
  const auto length = complete_length();
  if (!length) return false;
  if (parts_.empty()) return *length == 0;
  const Body::Progress progress = parts_[0].body->progress();
  return parts_.size() == 1 && parts_[0].first == 0 && progress.state == Body::State::complete &&
         progress.size == *length;
}

size_t Entry::size() const noexcept {
  size_t size = cost_;
  for (const EntryPart& part : parts_) size += part.body->cost();
  return size;
}

}  // namespace sluice::cache
