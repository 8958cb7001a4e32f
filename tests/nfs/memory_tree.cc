// SPDX-License-Identifier: MIT
#include "nfs/memory_tree.h"

#include <cstdlib>
#include <stdexcept>
#include <utility>

#include <fmt/core.h>

namespace qatime::nfs::testing {

namespace {

constexpr Time kBirth{std::chrono::sys_days{std::chrono::January / 1 / 2020}};

std::string last_component(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

MemoryTree::MemoryTree()
    : root_{std::make_shared<Node>(Node{++last_id_, 0, Node::Type::directory, {kBirth, kBirth, kBirth}})} {
  by_id_[root_->id] = root_;
}

std::shared_ptr<Node> MemoryTree::find(const std::string& path) const {
  std::shared_ptr<Node> node = root_;
  std::string_view rest{path};
  while (node != nullptr && rest.size() > 1) {
    rest.remove_prefix(1);
    const std::string name{rest.substr(0, rest.find('/'))};
    const auto child = node->children.find(name);
    node = child == node->children.end() ? nullptr : child->second;
    rest.remove_prefix(name.size());
  }
  return node;
}

std::shared_ptr<Node> MemoryTree::at(const std::string& path) const {
  auto node = find(path);
  if (node == nullptr) throw std::out_of_range{"the scripted server has no " + path};
  return node;
}

Node& MemoryTree::parent(const std::string& path) const { return *at(path.substr(0, path.rfind('/'))); }

void MemoryTree::add(const std::string& path, Node::Type type) {
  auto node = std::make_shared<Node>(Node{++last_id_, 0, type, {kBirth, kBirth, kBirth}});
  by_id_[node->id] = node;
  put(path, std::move(node));
}

void MemoryTree::put(const std::string& path, std::shared_ptr<Node> node) {
  parent(path).children[last_component(path)] = std::move(node);
}

void MemoryTree::remove(const std::string& path) { parent(path).children.erase(last_component(path)); }

std::string MemoryTree::handle(const Node& node) { return fmt::format("{}.{}", node.id, node.generation); }

std::shared_ptr<Node> MemoryTree::by_handle(const std::string& wanted) const {
  const auto entry = by_id_.find(std::strtoull(wanted.c_str(), nullptr, 10));
  const auto node = entry == by_id_.end() ? nullptr : entry->second.lock();
  return node != nullptr && handle(*node) == wanted ? node : nullptr;
}

void MemoryTree::forget_handles(bool root_too) {
  for (const auto& [id, weak] : by_id_) {
    const auto node = weak.lock();
    if (node != nullptr && (root_too || node != root_)) ++node->generation;
  }
}

Status MemoryTree::set_atime(Node& node, std::optional<Time> atime, std::optional<Time> guard) {
  if (guard && *guard != node.times.ctime) return Status::not_sync;
  if (atime) node.times.atime = *atime;
  node.times.ctime += std::chrono::nanoseconds{1};
  return Status::ok;
}

}  // namespace qatime::nfs::testing
