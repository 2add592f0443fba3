#pragma once
// The published tokenizers of tests/data/tokenizers, unpacked and opened.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/units.h"
#include "text/tokenizer.h"
#include "weights/checkpoint.h"

namespace nereus::test {

inline const std::string kTokenizerData = NEREUS_SOURCE_DIR "/tests/data/tokenizers/";

inline std::string unpacked(const std::string& name) {
    FILE* pipe = ::popen(("xz -dc '" + kTokenizerData + name + ".xz'").c_str(), "r");
    std::string bytes;
    std::string buffer(1 << 20, '\0');
    for (size_t n = 1; pipe != nullptr && n > 0;) {
        n = std::fread(buffer.data(), 1, buffer.size(), pipe);
        bytes.append(buffer, 0, n);
    }
    const int status = pipe != nullptr ? ::pclose(pipe) : -1;
    EXPECT_TRUE(status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << name << ".xz: xz -dc failed; is xz-utils installed?";
    return bytes;
}

inline std::unique_ptr<Tokenizer> from_json(const std::string& json, const std::string& name) {
    auto created = tokenizer_from_json(json, name);
    EXPECT_TRUE(created.ok()) << (created.ok() ? "" : created.error().message);
    return created.ok() ? std::move(created).value() : nullptr;
}

/// DeepSeek-V3's file with the two added tokens that R1 has in other places.
inline std::string deepseek_r1_json() {
    std::string json = unpacked("deepseek-v3.tokenizer.json");
    const std::pair<const char*, const char*> kChanged[] = {
        {"<\xef\xbd\x9cplace\xe2\x96\x81holder\xe2\x96\x81no\xe2\x96\x81"
         "798\xef\xbd\x9c>",
         "<think>"},
        {"<\xef\xbd\x9cplace\xe2\x96\x81holder\xe2\x96\x81no\xe2\x96\x81"
         "799\xef\xbd\x9c>",
         "</think>"}};
    for (const auto& [old_text, new_text] : kChanged) {
        const size_t at = json.find(old_text);
        EXPECT_NE(at, std::string::npos);
        json.replace(at, std::string_view(old_text).size(), new_text);
    }
    return json;
}

/// A tokenizer.json by the name the golden files use; deepseek-r1 is made from V3's.
inline std::unique_ptr<Tokenizer> open_published(const std::string& name) {
    const std::string file = (name == "llama-3.1" ? "llama-3.1/" : "") + name;
    return from_json(
        name == "deepseek-r1" ? deepseek_r1_json() : unpacked(file + ".tokenizer.json"), name);
}

/// The same, opened once.
inline const Tokenizer& tokenizer(const std::string& name) {
    static std::map<std::string, std::unique_ptr<Tokenizer>> loaded;
    std::unique_ptr<Tokenizer>& entry = loaded[name];
    if (entry == nullptr) {
        entry = open_published(name);
    }
    return *entry;
}

inline std::unique_ptr<Tokenizer> from_gguf(const std::string& name) {
    const auto path = std::filesystem::temp_directory_path() /
                      ("nereus-" + name + "-" + std::to_string(::getpid()) + ".gguf");
    EXPECT_TRUE(write_file_atomic(path, unpacked(name + ".gguf")).ok());
    auto checkpoint = open_checkpoint(path);
    std::filesystem::remove(path);
    EXPECT_TRUE(checkpoint.ok()) << (checkpoint.ok() ? "" : checkpoint.error().message);
    const GgufMetadata& header = *(*checkpoint)->gguf();
    GgufVocabulary vocabulary;
    vocabulary.model = header.string("tokenizer.ggml.model").value_or("");
    vocabulary.pre = header.string("tokenizer.ggml.pre").value_or("");
    vocabulary.tokens = header.strings("tokenizer.ggml.tokens");
    vocabulary.merges = header.strings("tokenizer.ggml.merges");
    vocabulary.token_types = header.numbers("tokenizer.ggml.token_type");
    vocabulary.bos_id = header.integer("tokenizer.ggml.bos_token_id");
    auto created = tokenizer_from_gguf(vocabulary, name);
    EXPECT_TRUE(created.ok()) << (created.ok() ? "" : created.error().message);
    return std::move(created).value();
}

}  // namespace nereus::test
