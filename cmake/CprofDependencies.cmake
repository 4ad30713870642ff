# External libraries, each as an imported target. scripts/install-deps installs them on Debian.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)

pkg_check_modules(elf REQUIRED IMPORTED_TARGET libelf)
pkg_check_modules(dw REQUIRED IMPORTED_TARGET libdw)
pkg_check_modules(lzma REQUIRED IMPORTED_TARGET liblzma)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(unwind REQUIRED IMPORTED_TARGET libunwind-generic)
pkg_check_modules(protobuf_c REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson)
find_program(PROTOC_C protoc-c REQUIRED)

# binutils' demangler (C++, Rust legacy and v0). It has no pkg-config file.
find_path(LIBIBERTY_INCLUDE libiberty/demangle.h REQUIRED)
find_library(LIBIBERTY_LIBRARY iberty REQUIRED)
add_library(iberty INTERFACE)
target_include_directories(iberty SYSTEM INTERFACE ${LIBIBERTY_INCLUDE})
target_link_libraries(iberty INTERFACE ${LIBIBERTY_LIBRARY})
