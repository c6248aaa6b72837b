// Intrusive doubly linked list: no allocation, an element unlinks itself when destroyed.
//
// T derives from ListNode<T, Tag>; with several tags an object can hang in several lists. The list
// owns nothing. Thread: the one of its elements.
#pragma once

#include "sluice/base/check.h"

namespace sluice {

template <typename T, typename Tag = void>
class List;

template <typename T, typename Tag = void>
class ListNode {
 public:
  ListNode() noexcept = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { unlink(); }

  bool is_linked() const noexcept { return next_ != nullptr; }
  void unlink() noexcept {
    if (next_ == nullptr) return;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    next_ = prev_ = nullptr;
  }

 private:
  friend class List<T, Tag>;
  ListNode* prev_ = nullptr;
  ListNode* next_ = nullptr;
};

template <typename T, typename Tag>
class List {
 public:
  using Node = ListNode<T, Tag>;

  List() noexcept { head_.prev_ = head_.next_ = &head_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() {
    while (pop_front() != nullptr) {
    }
    head_.prev_ = head_.next_ = nullptr;
  }

  bool is_empty() const noexcept { return head_.next_ == &head_; }
  void push_back(T& item) noexcept { insert_before(&head_, &item); }
  void push_front(T& item) noexcept { insert_before(head_.next_, &item); }
  T* front() noexcept { return is_empty() ? nullptr : as_item(head_.next_); }
  T* back() noexcept { return is_empty() ? nullptr : as_item(head_.prev_); }
  T* pop_front() noexcept {
    T* item = front();
    if (item != nullptr) static_cast<Node*>(item)->unlink();
    return item;
  }
  // The element after `item`, or nullptr at the end.
  T* next(T& item) noexcept {
    Node* node = static_cast<Node*>(&item)->next_;
    return node == &head_ ? nullptr : as_item(node);
  }
  // Moves all elements of `other` to the end of this list.
  void splice_back(List& other) noexcept {
    while (T* item = other.pop_front()) push_back(*item);
  }

 private:
  static T* as_item(Node* node) noexcept { return static_cast<T*>(node); }
  static void insert_before(Node* at, Node* node) noexcept {
    SL_CHECK(!node->is_linked());
    node->prev_ = at->prev_;
    node->next_ = at;
    at->prev_->next_ = node;
    at->prev_ = node;
  }

  Node head_;
};

}  // namespace sluice
