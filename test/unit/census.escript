#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_mem_census: objects of several workers, together.
-mode(compile).

main(_) ->
    tap:run(table:rows("rows", fun py_mem_census:rows/2, rows())).

rows() ->
    Dict = #{type => <<"dict">>, bytes => 300, count => 3, workers => [1, 2]},
    List = #{type => <<"list">>, bytes => 250, count => 9, workers => [2]},
    Both = [{1, [{<<"dict">>, 200, 2}]}, {2, [{<<"list">>, 250, 9}, {<<"dict">>, 100, 1}]}],
    Grown = [{1, [{<<"dict">>, 200, 2, 0, 0}, {<<"set">>, 10, 1, 10, 1}]},
             {2, [{<<"list">>, 250, 9, 50, 5}, {<<"dict">>, 100, 1, 0, 0}, {<<"set">>, 0, 0, -30, -3}]}],
    [{"no worker", [[], 10], []},
     {"a worker without any", [[{1, []}], 10], []},
     {"two workers", [Both, 10], [Dict, List]},
     {"those with most", [Both, 1], [Dict]},
     {"all", [Both, infinity], [Dict, List]},
     {"what has changed", [Grown, 10],
      [List#{bytes_diff => 50, count_diff => 5},
       #{type => <<"set">>, bytes => 10, count => 1, bytes_diff => -20, count_diff => -2,
         workers => [1, 2]}]},
     {"what has changed in one and back in another",
      [[{1, [{<<"set">>, 1, 1, 1, 1}]}, {2, [{<<"set">>, 1, 1, -1, -1}]}], 10], []}].
