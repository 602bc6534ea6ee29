# tests/unit/test_<file>.c: one cmocka executable each, found by name, linked against the room its namesake lives in
# (so a test of a lower room cannot lean on a higher one). tests/ref/test_*.c link compute and net. tests/golden: net.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
get_property(rooms GLOBAL PROPERTY ENGRAFT_ROOMS)

# ENGRAFT_TEST_PREFIX goes before every test's name, so that two builds can be run as one (scripts/test_all).
set(ENGRAFT_TEST_PREFIX "" CACHE STRING "put before the name of every test, for example asan/")

# Test `name` again for each instruction set below the best one (the program and
# tests/isa_environment.c read ENGRAFT_ISA).
function(engraft_test_isa name labels)
  if(ENGRAFT_TEST_PREFIX)
    return() # sanitizers: once is enough
  endif()
  foreach(isa scalar avx2 avx512) # the default run: the best, avx512bf16 where there is one
    add_test(NAME ${isa}/${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
    set_tests_properties(${isa}/${name} PROPERTIES TIMEOUT 900 LABELS "${labels}" ENVIRONMENT ENGRAFT_ISA=${isa})
  endforeach()
endfunction()

function(engraft_test source labels)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE TEST_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    TEST_BINARY_DIR="${CMAKE_BINARY_DIR}")
  target_link_libraries(${name} PRIVATE engraft_flags PkgConfig::CMOCKA ${ARGN})
  add_test(NAME ${ENGRAFT_TEST_PREFIX}${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
  set_tests_properties(${ENGRAFT_TEST_PREFIX}${name} PROPERTIES TIMEOUT 900 LABELS "${labels}")
endfunction()

file(GLOB unit_tests CONFIGURE_DEPENDS tests/unit/test_*.c)
foreach(source ${unit_tests})
  get_filename_component(name ${source} NAME_WE)
  string(REPLACE "test_" "" subject ${name})
  file(GLOB home src/*/${subject}.c src/*/${subject}.h)
  if(NOT home)
    message(FATAL_ERROR "tests/unit/${name}.c tests no file of src/: ${subject}.c not found")
  endif()
  list(GET home 0 home)
  get_filename_component(room ${home} DIRECTORY)
  get_filename_component(room ${room} NAME)
  # tests of the study room train networks: too long for `make check`
  set(labels unit)
  if(NOT room STREQUAL "study")
    list(APPEND labels quick)
  endif()
  engraft_test(${source} "${labels}" room_${room})
endforeach()

# coverage of the reported intervals, by simulation: a minute (make long)
engraft_test(tests/ref/coverage_intervals.c "long" room_stats)

# counts the images that are decoded and the plans that are made
target_link_options(test_feature_rows PRIVATE LINKER:--wrap=eg_image_read,--wrap=eg_plan_new)

file(GLOB ref_tests CONFIGURE_DEPENDS tests/ref/test_*.c tests/golden/test_*.c)
foreach(source ${ref_tests})
  get_filename_component(name ${source} NAME_WE)
  engraft_test(${source} "parity" room_net)
  target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/isa_environment.c)
  engraft_test_isa(${name} "parity;isa" ${name})
endforeach()
if(EXISTS ${CMAKE_SOURCE_DIR}/tests/cli/CMakeLists.txt)
  add_subdirectory(tests/cli)
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/tests/fuzz/CMakeLists.txt)
  add_subdirectory(tests/fuzz)
endif()

# not a test: the dump that scripts/check_parity_live.py compares
add_executable(parity_dump tests/golden/dump_gradients.c)
target_include_directories(parity_dump PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(parity_dump PRIVATE engraft_flags room_net)
# the same for the whole zoo: scripts/check_zoo.py
add_executable(zoo_dump tests/golden/dump_network.c)
target_link_libraries(zoo_dump PRIVATE engraft_flags room_net)
if(NOT ENGRAFT_TEST_PREFIX)
  find_package(Python3 COMPONENTS Interpreter)
  if(Python3_FOUND)
    add_test(NAME bench_peers COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/bench/test_peers.py)
    set_tests_properties(bench_peers PROPERTIES LABELS "tree;quick")
    # needs pydicom; dcmtk's tools add to it. Loads the codec as a shared library: not with sanitizers
    if(NOT ENGRAFT_SANITIZE AND NOT ENGRAFT_FUZZ)
      add_test(NAME dicom_parity COMMAND ${Python3_EXECUTABLE} -W ignore ${CMAKE_SOURCE_DIR}/tests/ref/dicom_parity.py
        ${CMAKE_BINARY_DIR})
      set_tests_properties(dicom_parity PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600 LABELS "parity")
    endif()
    add_test(NAME parity_live COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/scripts/check_parity_live.py
      $<TARGET_FILE:parity_dump> resnet18 efficientnet_b0)
    # 77: this Python has no PyTorch
    set_tests_properties(parity_live PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900 LABELS "parity")
    if(NOT ENGRAFT_SANITIZE)
      add_test(NAME image_formats_live COMMAND ${Python3_EXECUTABLE}
        ${CMAKE_SOURCE_DIR}/tests/ref/image_formats_parity.py ${CMAKE_BINARY_DIR})
      # 77: this Python has no Pillow or tifffile
      set_tests_properties(image_formats_live PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300 LABELS "parity")
    endif()
    # one small network of each kind of graph; all families: run the script by hand without --models
    if(TARGET engraft)
      add_test(NAME export_live COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/scripts/check_export.py
        --models squeezenet1_1,shufflenet_v2_x0_5,efficientnet_b0 $<TARGET_FILE:engraft> $<TARGET_FILE:zoo_dump>)
      set_tests_properties(export_live PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900 LABELS "parity")
    endif()
  endif()
endif()
