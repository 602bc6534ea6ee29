# Not tests, and built only when asked for: the programs of bench/ (bench/run builds them, with or without the tests).
add_executable(bench_net EXCLUDE_FROM_ALL bench/bench_net.c)
target_link_libraries(bench_net PRIVATE engraft_flags room_net)
add_executable(bench_load EXCLUDE_FROM_ALL bench/bench_load.c)
target_link_libraries(bench_load PRIVATE engraft_flags room_codec)
add_executable(bench_images EXCLUDE_FROM_ALL bench/bench_images.c)
target_link_libraries(bench_images PRIVATE engraft_flags room_data)
