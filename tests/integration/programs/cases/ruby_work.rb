# Work for ruby whose output does not depend on timing.
$stdout.sync = true
h = Hash.new { |hash, k| hash[k] = [] }
60_000.times { |i| h["k#{i * 7919 % 3001}"] << "v#{i}" }
puts h.size, h["k17"].first(3).join(","), h.sum { |_, v| v.size }
threads = (1..8).map { |n| Thread.new { (1..3000).map { |i| [n, i.to_s * (i % 9)] }.sum { |_, s| s.size } } }
puts threads.map(&:value).join(" ")
fibers = (1..200).map { |n| Fiber.new { x = "f#{n}"; 5.times { |i| Fiber.yield "#{x}.#{i}"; x += "a" * 50 }; x.size } }
6.times { |i| puts fibers.map(&:resume).last(2).join(" "); GC.start if i == 3 }
e = Enumerator.new { |y| a, b = 0, 1; loop { y << a; a, b = b, a + b } }
puts e.lazy.select(&:even?).first(20).join(" ")
3.times do |n|
  pid = fork { GC.start; exit!((1..2000).map { |i| "c#{i}" }.size / 1000 + n) }
  Process.wait(pid)
  puts $?.exitstatus
end
puts IO.popen(["sort", "-r"], "r+") { |io| io.puts(%w[a c b]); io.close_write; io.read.split.join(" ") }
text = (1..20_000).map { |i| "item#{i}=#{i * 7919 % 1013}" }.join(" ")
puts text.scan(/item(\d+)=(\d*7)\b/).size, text.gsub(/(\w+)=(\d+)/, '\2:\1').size
begin
  def deep(n) = n.zero? ? raise(ArgumentError, "deep") : deep(n - 1)
  deep(500)
rescue ArgumentError => x
  puts x.message, x.backtrace.size
end
puts (2**4000).to_s.size, (1..300).inject(:*).to_s[0, 40]
