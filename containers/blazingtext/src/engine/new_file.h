#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace blazingtext {

// A file that gets its name when it is complete, and leaves nothing behind when it does not get there.
// Everything here throws FileError.
class NewFile {
public:
    explicit NewFile(std::string path);
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    ~NewFile();

    // Any thread may write anywhere.
    void write(std::string_view text, std::size_t offset);
    void finish();

private:
    std::string path_;
    std::string temporary_;
    int descriptor_ = -1;
    bool finished_ = false;
};

}  // namespace blazingtext
