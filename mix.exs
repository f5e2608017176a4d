# SPDX-License-Identifier: Apache-2.0
#
# For projects that depend on this one and use mix: everything is built by
# ./bootstrap, in place (it says what is missing), and copied to where mix wants
# it. rebar3 is not needed.

defmodule Mix.Tasks.Compile.Pyport do
  @moduledoc false
  use Mix.Task.Compiler

  @recorded ".bootstrap-arguments"

  @impl true
  def run(_args) do
    case System.cmd(Path.expand("bootstrap"), ["--no-install"],
           into: IO.stream(),
           stderr_to_stdout: true
         ) do
      {_, 0} -> {install(), []}
      {_, _} -> Mix.raise("pyport could not be built: see what ./bootstrap has said")
    end
  end

  @impl true
  def manifests, do: [manifest()]

  # A copy, because one tree may be built for several environments of a project,
  # each with a Python of its own.
  defp install do
    built = built()

    if File.read(manifest()) == {:ok, built} do
      :noop
    else
      Enum.each(~w(doc ebin include priv), &copy/1)
      File.mkdir_p!(Path.dirname(manifest()))
      File.write!(manifest(), built)
      :ok
    end
  end

  # A worker may run the old program.
  defp copy(dir) do
    target = Path.join(Mix.Project.app_path(), dir)
    File.rm_rf!(target)
    File.cp_r!(Path.join("lib/py", dir), target)
  end

  # What make has made, and when.
  defp built do
    for file <- Path.wildcard("lib/py/**/*"), into: "" do
      %{mtime: time, size: size} = File.stat!(file, time: :posix)
      "#{file} #{time} #{size}\n"
    end
  end

  defp manifest, do: Path.join(Mix.Project.manifest_path(), "compile.pyport")

  @doc """
  Has mix compile a dependency again that was built for another Python.

  mix does that with one which it has just fetched, as the file .fetch says.
  """
  def notice_python do
    with true <- File.exists?(".fetch"),
         python when python not in [nil, ""] <- System.get_env("PYTHON"),
         {:ok, recorded} <- File.read(@recorded),
         false <- String.contains?(recorded, "'PYTHON=#{python}'") do
      File.touch(".fetch")
    end
  end
end

defmodule Pyport.MixProject do
  use Mix.Project

  def project do
    Mix.Tasks.Compile.Pyport.notice_python()
    [app: :py, version: version(), elixir: "~> 1.14", compilers: [:pyport], deps: []]
  end

  def application, do: []

  defp version do
    [_, version] = Regex.run(~r/AC_INIT\(\[pyport\], \[(.*?)\]\)/, File.read!("configure.ac"))
    version
  end
end
