# Numbers of thousands of digits, two interpreters.
needs="bc dc"
stress=5
case_run() { echo 'scale=200; 4*a(1); e(1); for(i=0;i<2000;i++) { s+=1/(i+1) }; s; 2^5000 % 1000007' | pre bc -lq; echo '500k 2v p 3 100^ p [la1+dsa200>b]sb 0sa lbx la p' | pre dc; }
