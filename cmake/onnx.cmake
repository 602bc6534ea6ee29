# The messages of an ONNX file: third_party/onnx/onnx.proto through protobuf-c's protoc-c. The package is renamed on the
# way, so that every symbol starts with eg_ and no other copy of ONNX in a program clashes (names are not in the bytes).
find_program(PROTOC_C protoc-c REQUIRED)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
set(onnx_source ${CMAKE_SOURCE_DIR}/third_party/onnx/onnx.proto)
set(onnx_folder ${CMAKE_BINARY_DIR}/onnx)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${onnx_source})
file(READ ${onnx_source} onnx_text)
string(REPLACE "\npackage onnx;\n" "\npackage eg_onnx;\n" onnx_text "${onnx_text}")
file(CONFIGURE OUTPUT ${onnx_folder}/onnx.proto CONTENT "${onnx_text}" @ONLY)
add_custom_command(OUTPUT ${onnx_folder}/onnx.pb-c.c ${onnx_folder}/onnx.pb-c.h
  COMMAND ${PROTOC_C} --c_out=${onnx_folder} --proto_path=${onnx_folder} onnx.proto
  DEPENDS ${onnx_folder}/onnx.proto VERBATIM)
add_library(onnx_messages STATIC ${onnx_folder}/onnx.pb-c.c ${onnx_folder}/onnx.pb-c.h)
target_include_directories(onnx_messages SYSTEM PUBLIC ${onnx_folder})
target_link_libraries(onnx_messages PUBLIC PkgConfig::PROTOBUF_C)
